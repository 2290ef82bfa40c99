//! What to change in clients of databases and caches, by what they talk to. A flat list; where a
//! text has several languages, each part has a comment in its own.

use super::{Client, Entry, Measure};

/// For each kind its measures, the safest first.
pub(super) const TEXTS: &[Entry] = &[
    (
        Client::Redis,
        Measure::ReuseConnections,
        r#"# Python (redis-py): one for the process, it holds a pool.
client = redis.Redis.from_url('redis://10.0.0.9:6379', max_connections=50)
// PHP (phpredis): the connection stays with the worker process.
$redis->pconnect('10.0.0.9', 6379);
// Node (ioredis): one for the process; it sends all commands over one connection.
const client = new Redis({ host: '10.0.0.9', port: 6379 });
// Java (Lettuce): one connection, shared between threads.
static final StatefulRedisConnection<String, String> REDIS =
    RedisClient.create("redis://10.0.0.9:6379").connect();
// .NET (StackExchange.Redis): one for the process.
static readonly ConnectionMultiplexer Redis = ConnectionMultiplexer.Connect("10.0.0.9");"#,
    ),
    (
        Client::Redis,
        Measure::UnixSocket,
        r"# redis.conf, on the same machine.
unixsocket /run/redis/redis.sock
unixsocketperm 770
# redis-py: Redis.from_url('unix:///run/redis/redis.sock')
# phpredis: $redis->pconnect('/run/redis/redis.sock')
# ioredis: new Redis('/run/redis/redis.sock')",
    ),
    (
        Client::MySql,
        Measure::ReuseConnections,
        r#"# Python (SQLAlchemy): one engine for the process, it holds a pool.
engine = create_engine('mysql+pymysql://app@10.0.0.9/app', pool_size=20, pool_recycle=1800)
// PHP (PDO): the connection stays with the worker process.
$db = new PDO($dsn, $user, $password, [PDO::ATTR_PERSISTENT => true]);
// Java (HikariCP): one pool for the process.
var config = new HikariConfig();
config.setJdbcUrl("jdbc:mysql://10.0.0.9/app");
config.setMaximumPoolSize(20);
var pool = new HikariDataSource(config);
// Node (mysql2): one pool for the process.
const pool = mysql.createPool({ host: '10.0.0.9', database: 'app', connectionLimit: 20 });"#,
    ),
    (
        Client::MySql,
        Measure::UnixSocket,
        r"# my.cnf, for clients of the C library on the same machine. The host localhost means this
# socket, 127.0.0.1 means a port.
[client]
host = localhost
socket = /run/mysqld/mysqld.sock",
    ),
    (
        Client::PostgreSql,
        Measure::ReuseConnections,
        r"; pgbouncer.ini, beside the programs: they connect to its Unix socket, and it keeps few
; connections to the server. In this mode a program keeps no state between transactions.
[databases]
app = host=10.0.0.9 port=5432 dbname=app
[pgbouncer]
unix_socket_dir = /run/pgbouncer
pool_mode = transaction
default_pool_size = 20
auth_type = scram-sha-256
auth_file = /etc/pgbouncer/userlist.txt",
    ),
    (
        Client::PostgreSql,
        Measure::UnixSocket,
        r"# The same machine: a host that begins with / is the directory of the Unix socket (libpq).
postgresql:///app?host=/run/postgresql",
    ),
    (
        Client::SqlServer,
        Measure::ReuseConnections,
        r#"// ADO.NET has a pool for each connection string: the same one everywhere, Pooling not off.
const string Db = "Server=10.0.0.9;Database=app;Integrated Security=true;Max Pool Size=100";
// It goes back to the pool only when it is disposed of.
await using var connection = new SqlConnection(Db);
await connection.OpenAsync();"#,
    ),
    (
        Client::Oracle,
        Measure::ReuseConnections,
        r#"# Python (oracledb): one pool for the process; a connection goes back at the end of with.
pool = oracledb.create_pool(user='app', password=secret, dsn='10.0.0.9/app', min=2, max=20)
with pool.acquire() as connection:
    connection.ping()
// Java (HikariCP): one pool for the process.
var config = new HikariConfig();
config.setJdbcUrl("jdbc:oracle:thin:@//10.0.0.9:1521/app");
config.setMaximumPoolSize(20);
var pool = new HikariDataSource(config);"#,
    ),
    (
        Client::MongoDb,
        Measure::ReuseConnections,
        r"// One MongoClient for the process, not one for each request: each has a pool of its own.
const client = new MongoClient('mongodb://10.0.0.9/app?maxPoolSize=100&maxIdleTimeMS=60000');",
    ),
    (
        Client::MongoDb,
        Measure::UnixSocket,
        r"// The same machine: the path of the socket, with %2F for each /.
const client = new MongoClient('mongodb://%2Ftmp%2Fmongodb-27017.sock/app');",
    ),
];
