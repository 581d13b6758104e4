# A day's work with psycopg2; what it prints must be the same directly and through dbgate.
import io
import sys

import psycopg2
import psycopg2.extras


def show(*values):
    print(repr(values))


def attempt(what, sql, *values):
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql, values or None)
            show(what, cursor.rowcount, cursor.fetchall() if cursor.description else None)
        connection.commit()
    except psycopg2.Error as error:
        connection.rollback()
        diagnostics = error.diag
        show(what, type(error).__name__, error.pgcode, str(error), diagnostics.constraint_name)


connection = psycopg2.connect(sys.argv[1])
attempt('types', "select 1, 1.5::numeric, 'é🎉', null, true, date '2024-02-29', array[1,null], '{\"a\":1}'::jsonb")
attempt('table', 'drop table if exists py2; create table py2 (n int primary key, t text)')
attempt('insert', 'insert into py2 values (%s, %s), (%s, %s)', 1, "it's", 2, None)
attempt('unique', 'insert into py2 values (1)')
attempt('syntax', 'selec')
attempt('division', 'select 1/0')
attempt('select', 'select * from py2 order by n')
with connection.cursor() as cursor:
    psycopg2.extras.execute_values(cursor, 'insert into py2 values %s', [(n, f'row {n}') for n in range(10, 500)])
    buffer = io.StringIO()
    cursor.copy_expert('copy (select * from py2 order by n) to stdout csv', buffer)
    show('copy out', len(buffer.getvalue()), buffer.getvalue()[-20:])
    cursor.copy_expert('copy py2 from stdin csv', io.StringIO('1000,copied\n1001,\n'))
connection.commit()
with connection.cursor('named') as cursor:
    cursor.itersize = 50
    cursor.execute('select n from py2 order by n')
    show('server-side cursor', sum(n for (n,) in cursor))
connection.commit()
connection.set_session(isolation_level='SERIALIZABLE', readonly=True)
attempt('read only', 'delete from py2')
connection.set_session(isolation_level='DEFAULT', readonly=False, autocommit=True)
with connection.cursor() as cursor:
    cursor.execute('listen py2')
    cursor.execute("notify py2, 'heard'")
    connection.poll()
    show('notifies', [(one.channel, one.payload) for one in connection.notifies])
    cursor.execute("do $$ begin raise notice 'a notice'; end $$")
    show('notices', connection.notices[-1:])
    cursor.execute("set statement_timeout = '50ms'")
    try:
        cursor.execute('select pg_sleep(5)')
    except psycopg2.errors.QueryCanceled as error:
        show('timeout', error.pgcode)
    cursor.execute('reset statement_timeout; drop table py2')
connection.close()
