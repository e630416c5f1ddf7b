Subject: x
To: a@local.example

hello
