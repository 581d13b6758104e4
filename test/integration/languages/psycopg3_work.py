# A day's work with psycopg 3: prepared statements, pipelines, binary, copy.
import logging
import sys

import psycopg

# Whether a pipeline hears of its error before or while it ends is a matter of time, and it warns of the one only.
logging.getLogger('psycopg').setLevel(logging.CRITICAL)


def show(*values):
    print(repr(values))


with psycopg.connect(sys.argv[1], autocommit=True) as connection:
    show(connection.execute("select 1, 1.5::numeric, 'é🎉', null, true, date '2024-02-29', array[1,null]").fetchall())
    show(connection.execute('select %s::int8, %s::text', (2**40, 'x'), binary=True).fetchall())
    connection.execute('drop table if exists py3')
    connection.execute('create table py3 (n int primary key, t text)')
    for n in range(12):  # prepared from the sixth time on
        connection.execute('insert into py3 values (%s, %s)', (n, f'row {n}'))
    connection.execute('insert into py3 values (%s, %s)', (99, 'prepared'), prepare=True)
    with connection.pipeline():
        results = [connection.execute('select %s::int * 2', (n,)) for n in range(100)]
    show(sum(result.fetchone()[0] for result in results))
    try:
        with connection.pipeline(), connection.transaction():
            connection.execute('insert into py3 values (200)')
            connection.execute('select 1/0')
            connection.execute('insert into py3 values (201)')
    except psycopg.Error as error:
        show(type(error).__name__, error.sqlstate, str(error).splitlines()[0])
    with connection.cursor() as cursor:
        with cursor.copy('copy py3 (n, t) from stdin (format binary)') as copy:
            copy.set_types(['int4', 'text'])
            for n in range(1000, 3000):
                copy.write_row((n, f'copied {n}'))
        with cursor.copy('copy (select * from py3 order by n) to stdout') as copy:
            show(sum(len(bytes(part)) for part in copy))
    with connection.transaction():
        with connection.cursor(name='server_side') as cursor:
            cursor.execute('select n from py3 order by n')
            show(len(cursor.fetchmany(10)), sum(row[0] for row in cursor))
    with connection.transaction(force_rollback=True):
        connection.execute('delete from py3')
        with connection.transaction():
            connection.execute("insert into py3 values (1, 'inner')")
        show(connection.execute('select * from py3').fetchall())
    show(connection.execute('select count(*), md5(string_agg(t, %s order by n)) from py3', (',',)).fetchall())
    for sql in ['selec', 'select * from missing', 'insert into py3 values (1)']:
        try:
            connection.execute(sql)
        except psycopg.Error as error:
            show(type(error).__name__, error.sqlstate, str(error), error.diag.source_function)
    connection.execute('listen py3')
    connection.execute("notify py3, 'heard'")
    show([(one.channel, one.payload) for one in connection.notifies(timeout=1, stop_after=1)]
         if psycopg.__version__ >= '3.2' else 'no timeout in this version')
    with connection.cursor() as cursor:
        cursor.executemany('update py3 set t = %s where n = %s returning n', [('a', 1), ('b', 2)], returning=True)
        seen = []
        while True:
            seen.append(cursor.fetchall())
            if not cursor.nextset():
                break
        show(seen)
    connection.execute('drop table py3')
