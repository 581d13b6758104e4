select 1 as one, 'two' as two \gset
\echo :one :two
select 1 as a, 2 as a \gset pre_
select * from generate_series(1, 2) \gset
select null as n \gset
\echo [:n]
select 'create table made_' || g || ' (a int)' from generate_series(1, 3) g \gexec
\dt made_*
select 'select ' || g || '/' || (g - 2) from generate_series(1, 3) g \gexec
select g % 3 as r, chr(97 + g % 2) as c, sum(g) from generate_series(1, 9) g group by 1, 2 order by 1, 2 \crosstabview
select 1, 2 \crosstabview
select current_date, 'x'::text, array[1], row(1) \gdesc
select nope \gdesc
\set x 5
\if :x
select :x as "if", :'x' as lit, :"x" from (select 1 as "5") q;
\else
select 'else';
\endif
\set q 'it''s'
select :'q';
select :undefined;
select 1 \gx
select 1; select 2; select 3;
select 'a
b' as "multi
line";
\p
\w saved.sql
\! cat saved.sql
select 4 \p \g
\r
\i saved.sql
\ir nofile.sql
\o out.txt
select 'to file';
\o
\! cat out.txt
\qecho q
\warn w
\set ECHO queries
select 5;
\set ECHO all
\set SINGLELINE on
select 6
\set SINGLELINE off
\unset x
\echo :x :{?x} :{?q}
\badcommand
\timing off
\c
select current_database() = :'DBNAME' as same;
