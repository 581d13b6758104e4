\! head -c 100000 /dev/zero | tr '\0' 'z' > lo.txt
\lo_import 'lo.txt' 'a comment'
\set oid :LASTOID
select octet_length(lo_get(:oid)), md5(lo_get(:oid));
\lo_export :oid 'lo_out.txt'
\! cmp lo.txt lo_out.txt && echo same
begin;
select lo_open(:oid, x'60000'::int) as fd \gset
select lo_lseek(:fd, 99990, 0), loread(:fd, 20);
select lo_truncate(:fd, 10), lo_tell(:fd);
select lowrite(:fd, 'appended');
select lo_close(:fd);
commit;
select octet_length(lo_get(:oid));
select lo_from_bytea(424242, 'known id');
select convert_from(lo_get(424242), 'UTF8');
select lo_put(424242, 6, 'ID');
select convert_from(lo_get(424242, 0, 8), 'UTF8');
\lo_unlink 424242
select lo_get(424242);
\lo_unlink :oid
\lo_import 'nofile'
\lo_export 424242 'x'
select count(*) from pg_largeobject_metadata;
