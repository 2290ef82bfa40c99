//! What to change in proxies, and in the programs that try them. A flat list.

use super::{Client, Entry, Measure};

/// For each kind its measures, the safest first.
pub(super) const TEXTS: &[Entry] = &[
    (
        Client::Nginx,
        Measure::ReuseConnections,
        r#"# Idle connections for each worker process. From 1.29.7 on nginx keeps them by default.
upstream app {
    server 10.0.0.9:8080;
    keepalive 32;
    keepalive_requests 10000;
}
location / {
    proxy_pass http://app;
    # Before 1.29.7 nginx speaks HTTP/1.0 to the upstream and asks it to close.
    proxy_http_version 1.1;
    proxy_set_header Connection "";
}"#,
    ),
    (
        Client::Nginx,
        Measure::NoPortOption,
        r"# An address without a port: nginx then sets IP_BIND_ADDRESS_NO_PORT (1.11.4, Linux 4.2).
proxy_bind 10.0.0.5;",
    ),
    (
        Client::Nginx,
        Measure::UnixSocket,
        r"# In the upstream: the application on the same machine listens on a Unix socket.
server unix:/run/app/app.sock;
# php-fpm, with listen = /run/php/php-fpm.sock in its pool:
fastcgi_pass unix:/run/php/php-fpm.sock;",
    ),
    (
        Client::Nginx,
        Measure::Spread,
        r#"# In http: a source address for each client connection.
split_clients "$remote_addr$remote_port" $source {
    50% 10.0.0.5;
    *   10.0.0.6;
}
# In the location.
proxy_bind $source;"#,
    ),
    (
        Client::HaProxy,
        Measure::ReuseConnections,
        r"# Mode http only. With the default, safe, the first request of each client connection
# still opens one; aggressive takes one that was reused before, always takes any. Both
# need clients that repeat a request when the server has just closed.
backend app
    mode http
    http-reuse aggressive
    # Half of the idle ones are closed at each interval; 5 s is the default.
    server app1 10.0.0.9:8080 pool-purge-delay 60s",
    ),
    (
        Client::HaProxy,
        Measure::NoPortOption,
        r"# An address without a port: HAProxy then sets IP_BIND_ADDRESS_NO_PORT (Linux 4.2).
# A range (10.0.0.5:10000-20000) binds a port of its own for each connection instead.
backend app
    source 10.0.0.5
    server app1 10.0.0.9:8080",
    ),
    (
        Client::HaProxy,
        Measure::UnixSocket,
        r"# The application on the same machine listens on a Unix socket. With chroot, the path
# starts there.
backend app
    server app1 unix@/run/app/app.sock",
    ),
    (
        Client::HaProxy,
        Measure::Spread,
        r"# The same server once for each source address.
backend app
    server app1a 10.0.0.9:8080 source 10.0.0.5
    server app1b 10.0.0.9:8080 source 10.0.0.6",
    ),
    (
        Client::Envoy,
        Measure::ReuseConnections,
        r#"# In the cluster: HTTP/2, where the backend speaks it, needs few connections.
# With HTTP/1.1 remove max_requests_per_connection: 1, which ends keep-alive.
typed_extension_protocol_options:
  envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
    "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
    explicit_http_config:
      http2_protocol_options: {}"#,
    ),
    (
        Client::Envoy,
        Measure::NoPortOption,
        r"# In the cluster. Releases before the second half of 2026 do not set it by themselves.
upstream_bind_config:
  source_address: { address: 10.0.0.5, port_value: 0 }
  socket_options:
  # IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT
  - { level: 0, name: 24, int_value: 1, state: STATE_PREBIND }",
    ),
    (
        Client::Envoy,
        Measure::UnixSocket,
        r"# In the cluster's load_assignment: the application listens on a Unix socket.
lb_endpoints:
- endpoint: { address: { pipe: { path: /run/app/app.sock } } }",
    ),
    (
        Client::Envoy,
        Measure::Spread,
        r"# In the cluster's load_assignment: the same server on more ports or addresses.
lb_endpoints:
- endpoint: { address: { socket_address: { address: 10.0.0.9, port_value: 8080 } } }
- endpoint: { address: { socket_address: { address: 10.0.0.9, port_value: 8081 } } }",
    ),
    (
        Client::Apache,
        Measure::ReuseConnections,
        r#"# Each child process has a pool; ttl has to be shorter than the backend's own timeout.
ProxyPass "/app" "http://10.0.0.9:8080" enablereuse=on ttl=30
# FastCGI reuses only where it is asked to.
ProxyPass "/php" "fcgi://10.0.0.9:9000/srv/app" enablereuse=on
# These close each time, remove them: disablereuse=on, SetEnv proxy-nokeepalive 1,
# SetEnv force-proxy-request-1.0 1."#,
    ),
    (
        Client::Apache,
        Measure::NoPortOption,
        r"# mod_proxy cannot set IP_BIND_ADDRESS_NO_PORT. Remove ProxySourceAddress, and let the
# route choose the source address:
#   ip route replace 10.0.0.9/32 via 10.0.0.1 src 10.0.0.5",
    ),
    (
        Client::Apache,
        Measure::UnixSocket,
        r#"# The application on the same machine listens on a Unix socket.
ProxyPass "/app" "unix:/run/app/app.sock|http://localhost/"
# php-fpm, with listen = /run/php/php-fpm.sock in its pool:
<FilesMatch "\.php$">
    SetHandler "proxy:unix:/run/php/php-fpm.sock|fcgi://localhost"
</FilesMatch>"#,
    ),
    (
        Client::Apache,
        Measure::Spread,
        r#"# The same server on more ports or addresses.
<Proxy "balancer://app">
    BalancerMember "http://10.0.0.9:8080"
    BalancerMember "http://10.0.0.9:8081"
</Proxy>
ProxyPass "/app" "balancer://app""#,
    ),
    (
        Client::Squid,
        Measure::ReuseConnections,
        r#"# squid.conf. On is the default: look for "off". Tunnels (CONNECT) are never reused.
server_persistent_connections on
server_idle_pconn_timeout 2 minutes"#,
    ),
    (
        Client::Squid,
        Measure::NoPortOption,
        r"# squid.conf. From Squid 6 on it sets IP_BIND_ADDRESS_NO_PORT by itself for this; update.
tcp_outgoing_address 10.0.0.5",
    ),
    (
        Client::Squid,
        Measure::Spread,
        r"# squid.conf: half of the requests from each address.
acl half random 1/2
tcp_outgoing_address 10.0.0.5 half
tcp_outgoing_address 10.0.0.6",
    ),
    (
        Client::LoadGenerator,
        Measure::ReuseConnections,
        r"# ab closes after each request unless -k is given; wrk and k6 keep connections.
ab -k -c 50 -n 100000 http://10.0.0.9/
# hey and vegeta keep them too: remove -disable-keepalive, -keepalive=false.
# curl: one call for many URLs shares a connection, one call for each does not.
curl 'http://10.0.0.9/item/[1-1000]' -o 'item-#1'",
    ),
    (
        Client::LoadGenerator,
        Measure::NoPortOption,
        r"# curl sets IP_BIND_ADDRESS_NO_PORT for this from 7.75 on. ab -B does not.
curl --interface 'host!10.0.0.5' http://10.0.0.9/",
    ),
    (
        Client::LoadGenerator,
        Measure::Spread,
        r"# More source addresses: k6 takes a range of them, wrk none (start one in each of several
# network namespaces).
k6 run --local-ips=10.0.0.5-10.0.0.8 script.js",
    ),
];
