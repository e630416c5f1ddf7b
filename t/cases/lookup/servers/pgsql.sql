create role ex login password 'sesame';
create database mail owner ex;
\c mail
create table users (id varchar(40), name varchar(80), home varchar(80), quota int);
insert into users values
 ('anna', 'Anna', '/home/anna', 5), ('bert', 'Mister "B" \ x', '/home/b b', null), ('cleo', '', '/c', 0),
 ('dora', null, null, null), ('o''brien', 'O', '/o', 7), ('tab', E'a\tb', E'nl\nnl', 1), ('quo', '"lead', 'in"side', 2),
 ('utf', 'Zoë', '=', 3), ('back', 'a\b', 'c', 4);
create table log (n int);
create table many (n int, s varchar(10));
insert into many values (1, 'one'), (2, 'two'), (3, null);
create table kinds (d date, t timestamp, f real, m decimal(8,2), b bytea, z bigint, y boolean);
insert into kinds values ('2024-02-29', '2024-02-29 01:02:03', 1.5, 12.30, '\x00ff41', 9223372036854775807, true);
grant all on all tables in schema public to ex;
