create table c (a int, b text);
insert into c select g, 'row ' || g from generate_series(1, 5000) g;
\copy c to 'c.txt'
\copy c to 'c.csv' csv header
\copy (select a from c where a <= 3 order by a) to stdout
truncate c;
\copy c from 'c.txt'
select count(*), md5(string_agg(b, ',' order by a)) from c;
\copy c from 'c.csv' csv header
select count(*), md5(string_agg(b, ',' order by a, ctid)) from c;
\copy c from 'missing.txt'
\copy c from program 'echo 1; exit 3'
\copy c from program 'printf "7\tprogram\n"'
\copy c to program 'wc -l'
\copy nowhere from 'c.txt'
\copy c (nope) to stdout
\copy c from stdin
1	inline
\.
\copy c (a) from pstdin
2
\.
select count(*) from c;
\g out.txt
\! cat out.txt
select 'piped' \g | tr a-z A-Z
