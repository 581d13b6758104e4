create table t (a int, b text, c numeric);
insert into t values (1, null, 1.5), (null, '', null), (3, E'tab\there', -0.25), (4, E'line\nbreak', 1e10), (5, 'ünï "q" , <b>&', 0);
select * from t order by a;
\pset null '(null)'
select * from t order by a;
\a
select * from t order by a;
\f '|||'
select * from t order by a;
\t
select * from t order by a;
\t
\pset format csv
select * from t order by a;
\pset format html
select * from t order by a;
\pset format asciidoc
select * from t order by a;
\pset format latex
select a, b from t order by a;
\pset format troff-ms
select a, b from t order by a;
\pset format aligned
\pset border 2
\pset linestyle unicode
select * from t order by a;
\x on
select * from t order by a;
\x auto
\pset expanded off
\pset format wrapped
\pset columns 40
select repeat('word ', 30) as long, a from t order by a;
select from t;
select;
