-- Large objects through SQL functions.
select lo_from_bytea(424242, 'known id');
select convert_from(lo_get(424242), 'UTF8');
select lo_put(424242, 6, 'ID');
select convert_from(lo_get(424242, 0, 8), 'UTF8');
begin;
select lo_open(424242, x'60000'::int) as fd \gset
select lo_lseek(:fd, 2, 0), loread(:fd, 20), lo_tell64(:fd);
select lo_truncate(:fd, 4), lo_tell(:fd);
select lowrite(:fd, 'appended');
select lo_lseek64(:fd, 0, 2), lo_close(:fd);
select lo_close(:fd);
commit;
select octet_length(lo_get(424242)), md5(lo_get(424242));
select lo_put(424242, 5000000, repeat('z', 100000)::bytea), octet_length(lo_get(424242));
comment on large object 424242 is 'a comment';
grant select on large object 424242 to pg_monitor;
\lo_list
select lo_create(424242);
select lo_unlink(424242);
select lo_get(424242);
select lo_unlink(424242);
select count(*) from pg_largeobject_metadata;
