// A day's work with pgjdbc; what it prints must be the same directly and through dbgate.
import java.io.StringReader;
import java.io.StringWriter;
import java.sql.*;
import org.postgresql.PGConnection;

public class JdbcWork {
  static Connection connection;

  static void show(ResultSet rows) throws SQLException {
    ResultSetMetaData meta = rows.getMetaData();
    StringBuilder line = new StringBuilder();
    for (int c = 1; c <= meta.getColumnCount(); c++) line.append(meta.getColumnName(c)).append(':').append(meta.getColumnTypeName(c)).append(' ');
    int count = 0;
    while (rows.next()) {
      if (count++ < 3) for (int c = 1; c <= meta.getColumnCount(); c++) line.append('|').append(rows.getString(c));
    }
    System.out.println(line + " " + count + " rows");
  }

  static void attempt(String sql) {
    try (Statement statement = connection.createStatement()) {
      if (statement.execute(sql)) show(statement.getResultSet());
      else System.out.println(statement.getUpdateCount());
    } catch (SQLException error) {
      System.out.println(error.getSQLState() + " " + error.getMessage());
    }
  }

  public static void main(String[] args) throws Exception {
    connection = DriverManager.getConnection(args[0], args[1], args[2]);
    attempt("select 1::int2, 1.5::numeric, 'é🎉'::text, null::int, true, date '2024-02-29', array[1,null], '{\"a\":1}'::jsonb");
    attempt("drop table if exists j; create table j (n int primary key, t text); insert into j values (1, 'a')");
    for (String sql : new String[] {"selec", "select 1/0", "insert into j values (1)", "select * from missing", "select 'x'::int"}) attempt(sql);
    try (PreparedStatement insert = connection.prepareStatement("insert into j values (?, ?)")) {
      for (int i = 10; i < 1000; i++) {
        insert.setInt(1, i);
        insert.setString(2, "row " + i);
        insert.addBatch();
      }
      int total = 0;
      for (int one : insert.executeBatch()) total += one;
      System.out.println("batch " + total);
      insert.setInt(1, 1);
      insert.setString(2, "again");
      insert.addBatch();
      insert.setInt(1, 2000);
      insert.addBatch();
      insert.executeBatch();
    } catch (BatchUpdateException error) {
      System.out.println(error.getSQLState() + " " + error.getUpdateCounts().length);
    }
    try (PreparedStatement select = connection.prepareStatement("select n, t from j where n > ? order by n")) {
      for (int i = 0; i < 12; i++) { // a named server-side statement from the fifth time on, binary where it can
        select.setInt(1, i * 80);
        try (ResultSet rows = select.executeQuery()) { show(rows); }
      }
    }
    connection.setAutoCommit(false);
    try (Statement statement = connection.createStatement()) {
      statement.setFetchSize(70); // portals suspended by a row limit
      try (ResultSet rows = statement.executeQuery("select * from j order by n")) { show(rows); }
    }
    Savepoint savepoint = connection.setSavepoint();
    attempt("select 1/0");
    attempt("select 'aborted'");
    connection.rollback(savepoint);
    attempt("delete from j where n > 500");
    connection.rollback();
    connection.setAutoCommit(true);
    org.postgresql.copy.CopyManager copy = connection.unwrap(PGConnection.class).getCopyAPI();
    System.out.println("copied in " + copy.copyIn("copy j from stdin", new StringReader("5000\tfive\n5001\t\\N\n")));
    StringWriter out = new StringWriter();
    System.out.println("copied out " + copy.copyOut("copy (select * from j order by n) to stdout", out) + " " + out.toString().length());
    try {
      copy.copyIn("copy j from stdin", new StringReader("nonsense\n"));
    } catch (SQLException error) {
      System.out.println(error.getSQLState() + " " + error.getMessage());
    }
    DatabaseMetaData meta = connection.getMetaData();
    try (ResultSet columns = meta.getColumns(null, null, "j", null)) { show(columns); }
    try (ResultSet keys = meta.getPrimaryKeys(null, null, "j")) { show(keys); }
    try (Statement statement = connection.createStatement()) {
      statement.setQueryTimeout(1); // cancels over a connection of its own
      statement.execute("select pg_sleep(20)");
    } catch (SQLException error) {
      System.out.println(error.getSQLState() + " " + error.getMessage());
    }
    attempt("select 'alive'");
    attempt("drop table j");
    connection.close();
  }
}
