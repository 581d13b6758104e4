create table c (a int, b text, d date);
copy c from stdin;
1	plain	2024-01-01
2	tab\tin	2024-01-02
3	new\nline	\N
4	back\\slash	2024-01-04
5		\N
\N	é日本語	2024-01-06
\.
select * from c order by a;
copy c to stdout;
copy (select a, b from c order by a desc) to stdout with (delimiter '|', null 'NULL');
copy c (a, b) from stdin with (delimiter ',', null '-');
10,ten
11,-
\.
copy c from stdin;
12	too	2024-01-01	many
\.
select count(*) from c;
copy c from stdin;
x	not a number	2024-01-01
\.
copy c from stdin;
13	short
\.
copy c (b) from stdin;
\.
select count(*), sum(a) from c;
copy nowhere from stdin;
copy c to stdout with (header);
begin;
copy c (a) from stdin;
100
bad
\.
select 1;
rollback;
select count(*) from c;
copy c (a) to stdout where a > 1;
copy (values (1, E'\x01'), (2, E'a\rb')) to stdout;
select 'still in step' as ok;
