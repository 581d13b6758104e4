-- 50 MB in one message each way, and long statements.
\copy (select repeat('x', 52428800)) to 'big.txt'
\! md5sum < big.txt
create table b (t text);
alter table b alter t set storage external;
\copy b from 'big.txt'
select length(t) from b;
\pset format unaligned
\pset tuples_only on
\o part.txt
select left(t, 8000000) from b;
\o
\! wc -c < part.txt
truncate b;
\set big `head -c 300000 big.txt`
select length(:'big'), md5(:'big');
insert into b values (:'big' || :'big');
select length(t) from b;
select substr(:'big', 1, 5), :'big' = repeat('x', 300000);
select '\x' || repeat('ab', 10)::bytea, length(decode(repeat('ab', 1000000), 'hex'));
