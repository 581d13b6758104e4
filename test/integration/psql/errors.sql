selec 1;
select * from no_such_table;
select no_such_column from pg_class;
select 'ünicode before the error', no_such_column;
select 1 +;
create table p (id int primary key, n int not null check (n > 0), u text unique);
create table f (id int references p);
insert into p values (1, 1, 'a');
insert into p values (1, 1, 'b');
insert into p values (2, 0, 'b');
insert into p values (2, null, 'b');
insert into p values (2, 1, 'a');
insert into f values (99);
delete from p;
insert into f values (1);
delete from p where id = 1;
select nosuchfunc(1);
select length(1, 2, 3);
select 'abc'::int;
select ('x' || 1)::date;
\set VERBOSITY verbose
select 1/0;
insert into p values (1, 1, 'b');
\set VERBOSITY terse
insert into p values (1, 1, 'b');
\set VERBOSITY sqlstate
insert into p values (1, 1, 'b');
\set VERBOSITY default
\set SHOW_CONTEXT always
select 1/0;
select 2147483648::int4;
\errverbose
\echo :SQLSTATE :ERROR :ROW_COUNT :LAST_ERROR_MESSAGE
drop table p;
drop table if exists nowhere, nothing;
alter table p add column n int;
create table p ();
set nonsense = 1;
set work_mem = 'lots';
select pg_sleep('x');
