set client_min_messages = debug1;
create table n (a serial primary key);
reset client_min_messages;
drop table if exists not_there;
create table if not exists n (a int);
do $$ begin for i in 1..50 loop raise notice 'notice % %', i, repeat('z', i * 20); end loop; end $$;
set client_min_messages = warning;
do $$ begin raise notice 'hidden'; raise warning 'shown'; end $$;
set client_min_messages = error;
do $$ begin raise warning 'hidden'; end $$;
set client_min_messages = notice;
\set VERBOSITY verbose
do $$ begin raise notice 'é verbose' using detail = E'two\nlines', hint = 'h'; end $$;
\set VERBOSITY default
commit;
set local work_mem = '2MB';
vacuum (verbose false) n;
create view v as select 1 as a;
drop view v cascade;
create temp view tv as select * from n;
drop table n;
drop table n cascade;
