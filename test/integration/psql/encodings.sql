\encoding
select 'é€日本語🎉' as s, length('é€日本語🎉'), octet_length('é€日本語🎉');
create table e (s text);
insert into e values ('é'), ('ß'), ('ñ');
set client_encoding = 'LATIN1';
\encoding
select s, octet_length(s) from e;
select '日本' as s;
\encoding SQL_ASCII
select s from e;
\encoding UTF8
set client_encoding to 'nonsense';
select convert_from('\xff'::bytea, 'UTF8');
select convert('é', 'UTF8', 'LATIN1'), convert_to('é', 'LATIN1');
set client_encoding = 'EUC_JP';
select chr(9999);
reset client_encoding;
select U&'d\0061t\+000061', U&'!0041' uescape '!', E'\u00e9\U0001F600\x41\101';
select E'\xff';
select 'x' as "ünïcödé cölumn", 'y' as "日本";
create table "Ünï" ("Cöl" int);
\d "Ünï"
select "cöl" from "Ünï";
select chr(0);
select E'a\000b';
\set utf '★'
select :'utf';
