-- COPY as one of several statements of one simple query.
create table c (a int);
select 1\; copy c from stdin\; select count(*) from c;
1
2
3
\.
copy c to stdout\; select 'after';
copy c from stdin\; copy c from stdin;
4
\.
5
\.
select array_agg(a order by a) from c;
begin\; copy c from stdin\; select count(*) from c\; rollback;
6
\.
copy c from stdin\; select 1/0;
7
\.
select count(*) from c;
copy c from stdin\; select 'not reached';
bad
\.
select 'done';
