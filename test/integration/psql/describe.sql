create table parent (id int primary key, name text not null default 'x', ts timestamptz default now()) ;
comment on table parent is 'the parent';
comment on column parent.name is 'é comment';
create table child (id serial primary key, parent_id int not null references parent on delete cascade, v numeric(8,2) check (v > 0), g int generated always as (parent_id * 2) stored);
create index on child (parent_id) where v > 10;
create unique index child_expr on child (lower(v::text));
create view vw as select p.name, count(*) from parent p join child c on c.parent_id = p.id group by p.name;
create materialized view mv as select 1 as one;
create sequence sq increment 5 minvalue -10 cycle;
create function fn(a int, b text default 'z') returns table (x int, y text) language sql stable as 'select $1, $2';
create aggregate agg(int) (sfunc = int4pl, stype = int, initcond = '0');
create type comp as (a int, b text);
create type en as enum ('a', 'b');
create domain dom as text not null check (value <> '');
create table parted (k int, v text) partition by range (k);
create table parted_1 partition of parted for values from (0) to (10);
create rule ru as on insert to vw do instead nothing;
\d parent
\d+ parent
\d child
\d+ child
\d vw
\d+ vw
\d mv
\d sq
\d child_expr
\d parted
\d+ parted
\d parted_1
\d comp
\d nothing_like_it
\dt
\di
\dv
\dm
\ds
\dp parent
\df fn
\da agg
\dT
\dD
\dn
\dt+ pare*
\sf fn
\sv vw
\dC jsonpath
\dd
\dRp
\dy
\z child
\do ~~
\dL
\dFp
\dx
\dconfig work_mem
\encoding
\dt *.pg_clas?
