select string_agg('g as c' || n, ', ') as list from generate_series(1, 1600) n \gset
\pset format unaligned
select :list from generate_series(1, 3) g;
select 'c' || n from generate_series(1, 5) n;
select :list, 1 from generate_series(1, 1) g;
\pset tuples_only on
select g, md5(g::text), g % 2 = 0, null from generate_series(1, 30000) g;
select g from generate_series(1, 0) g;
select repeat(chr(65 + g % 26), 2000) from generate_series(1, 500) g;
\pset tuples_only off
select from generate_series(1, 3);
create table w (a int);
insert into w select generate_series(1, 100000);
update w set a = a + 1;
delete from w where a > 50000;
select count(*) from w;
