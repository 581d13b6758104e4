-- The server ends the session in a transaction: psql says why and gives up with exit code 2.
create table kept (a int);
begin;
insert into kept values (1);
select pg_terminate_backend(pg_backend_pid());
select count(*) from kept;
