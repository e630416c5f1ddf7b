create database mail;
create user 'ex'@'localhost' identified by 'sesame';
create user 'ex'@'127.0.0.1' identified by 'sesame';
create user 'ex'@'::1' identified by 'sesame';
grant all on mail.* to 'ex'@'localhost', 'ex'@'127.0.0.1', 'ex'@'::1';
use mail;
create table users (id varchar(40), name varchar(80), home varchar(80), quota int);
insert into users values
 ('anna', 'Anna', '/home/anna', 5), ('bert', 'Mister "B" \\ x', '/home/b b', null), ('cleo', '', '/c', 0),
 ('dora', null, null, null), ('o''brien', 'O', '/o', 7), ('tab', 'a\tb', 'nl\nnl', 1), ('quo', '"lead', 'in"side', 2),
 ('utf', 'Zoë', '=', 3), ('back', 'a\\b', 'c', 4);
create table log (n int);
create table many (n int, s varchar(10));
insert into many values (1, 'one'), (2, 'two'), (3, null);
create table kinds (d date, t datetime, f float, m decimal(8,2), b blob, z bigint unsigned, y boolean);
insert into kinds values ('2024-02-29', '2024-02-29 01:02:03', 1.5, 12.30, x'ff41', 18446744073709551615, true);
