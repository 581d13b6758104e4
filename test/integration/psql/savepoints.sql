create table s (a int primary key);
begin;
insert into s values (1);
savepoint one;
insert into s values (1);
select 'aborted';
rollback to one;
insert into s values (2);
savepoint two;
insert into s values (3);
release one;
rollback to two;
select 'aborted too';
rollback;
select count(*) from s;
begin;
savepoint a; insert into s values (10);
savepoint a; insert into s values (11);
rollback to a;
release a;
release a;
commit;
select * from s order by a;
\set ON_ERROR_ROLLBACK on
begin;
insert into s values (10);
insert into s values (12);
select 1/0;
commit;
\set ON_ERROR_ROLLBACK off
select * from s order by a;
commit;
rollback;
begin;
begin;
commit and chain;
rollback and chain;
end;
\set AUTOCOMMIT off
insert into s values (20);
rollback;
insert into s values (21);
commit;
\set AUTOCOMMIT on
select max(a) from s;
start transaction isolation level serializable, read only, deferrable;
insert into s values (30);
abort;
