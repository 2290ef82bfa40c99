//! Ports of well-known services that a wider range would swallow.
//!
//! A port counts where its service listens on it unless told otherwise, by IANA's registry
//! (<https://www.iana.org/assignments/service-names-port-numbers>) or, where a project took an
//! unassigned port, by the project's own documentation. Ports that programs merely like to use in
//! examples are left out: each reserved port is one less for everybody.

use crate::PortRange;

/// Port and service, ascending. TCP, and UDP where the service speaks UDP alone: reserving a port
/// keeps it from both.
#[must_use]
pub const fn known_service_ports() -> &'static [(u16, &'static str)] {
    KNOWN
}

const KNOWN: &[(u16, &str)] = &[
    (1080, "SOCKS"),
    (1194, "OpenVPN"),
    (1433, "SQL Server"),
    (1521, "Oracle"),
    (1723, "PPTP"),
    (1812, "RADIUS"),
    (1813, "RADIUS accounting"),
    (1883, "MQTT"),
    (2003, "Graphite"),
    (2049, "NFS"),
    (2181, "ZooKeeper"),
    (2375, "Docker"),
    (2376, "Docker, TLS"),
    (2377, "Docker Swarm"),
    (2379, "etcd"),
    (2380, "etcd peers"),
    (2888, "ZooKeeper peers"),
    (3000, "Grafana"),
    (3100, "Loki"),
    (3128, "Squid"),
    (3260, "iSCSI"),
    (3268, "Active Directory global catalog"),
    (3269, "Active Directory global catalog, TLS"),
    (3306, "MySQL"),
    (3389, "RDP"),
    (3868, "Diameter"),
    (3888, "ZooKeeper elections"),
    (4222, "NATS"),
    (4317, "OpenTelemetry, gRPC"),
    (4318, "OpenTelemetry, HTTP"),
    (4369, "Erlang port mapper"),
    (4505, "Salt publisher"),
    (4506, "Salt requests"),
    (4646, "Nomad"),
    (4789, "VXLAN"),
    (5000, "container registry"),
    (5044, "Logstash, Beats"),
    (5060, "SIP"),
    (5061, "SIP, TLS"),
    (5201, "iperf3"),
    (5222, "XMPP"),
    (5269, "XMPP servers"),
    (5432, "PostgreSQL"),
    (5601, "Kibana"),
    (5666, "NRPE"),
    (5671, "AMQP, TLS"),
    (5672, "AMQP, RabbitMQ"),
    (5900, "VNC"),
    (5984, "CouchDB"),
    (5985, "WinRM"),
    (5986, "WinRM, TLS"),
    (6000, "X11"),
    (6081, "Geneve"),
    (6379, "Redis"),
    (6432, "PgBouncer"),
    (6443, "Kubernetes API"),
    (6514, "syslog, TLS"),
    (6650, "Pulsar"),
    (7000, "Cassandra peers"),
    (7001, "WebLogic, Cassandra peers over TLS"),
    (7077, "Spark"),
    (7946, "Docker Swarm gossip"),
    (8080, "HTTP, alternate"),
    (8086, "InfluxDB"),
    (8123, "ClickHouse, HTTP"),
    (8125, "StatsD"),
    (8140, "Puppet"),
    (8200, "Vault"),
    (8300, "Consul servers"),
    (8301, "Consul, LAN"),
    (8302, "Consul, WAN"),
    (8443, "HTTPS, alternate"),
    (8472, "VXLAN of Linux, Flannel"),
    (8500, "Consul, HTTP"),
    (8600, "Consul, DNS"),
    (8883, "MQTT, TLS"),
    (9000, "ClickHouse, PHP-FPM"),
    (9042, "Cassandra"),
    (9090, "Prometheus"),
    (9091, "Pushgateway"),
    (9092, "Kafka"),
    (9093, "Alertmanager"),
    (9100, "node_exporter"),
    (9200, "Elasticsearch, OpenSearch"),
    (9300, "Elasticsearch, OpenSearch peers"),
    (9411, "Zipkin"),
    (9418, "Git"),
    (9964, "dryport serve"),
    (10000, "NDMP, Webmin"),
    (10050, "Zabbix agent"),
    (10051, "Zabbix server"),
    (10248, "kubelet health"),
    (10249, "kube-proxy metrics"),
    (10250, "kubelet"),
    (10255, "kubelet, read-only"),
    (10256, "kube-proxy health"),
    (10257, "kube-controller-manager"),
    (10259, "kube-scheduler"),
    (11211, "memcached"),
    (15672, "RabbitMQ management"),
    (15692, "RabbitMQ metrics"),
    (16379, "Redis Cluster bus"),
    (16686, "Jaeger"),
    (19999, "Netdata"),
    (24224, "Fluentd"),
    (25672, "RabbitMQ peers"),
    (26257, "CockroachDB"),
    (26379, "Redis Sentinel"),
    (27017, "MongoDB"),
    (27018, "MongoDB shards"),
    (27019, "MongoDB config servers"),
    (33060, "MySQL X Protocol"),
    (50000, "Db2"),
    (51820, "WireGuard"),
    (61613, "STOMP"),
    (61616, "ActiveMQ"),
];

/// Ports that Kubernetes gives to services on every node (NodePort), unless it is told otherwise.
const NODE_PORTS: PortRange = match PortRange::new(30000, 32767) {
    Some(range) => range,
    None => PortRange::LINUX_DEFAULT,
};
/// Where the kubelet of a node listens.
pub const KUBELET_PORT: u16 = 10250;

/// The part of a range that a node gives to services.
#[must_use]
pub fn node_ports_in(range: PortRange) -> Option<PortRange> {
    PortRange::new(
        range.low().max(NODE_PORTS.low()),
        range.high().min(NODE_PORTS.high()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_ascend_and_none_comes_twice() {
        for pair in known_service_ports().windows(2) {
            assert!(pair[0].0 < pair[1].0, "{pair:?}");
        }
        assert!(known_service_ports()[0].0 >= 1024);
    }

    #[test]
    fn names_stay_on_one_line_of_a_report() {
        for (_, name) in known_service_ports() {
            assert!(!name.is_empty() && name.is_ascii() && name.len() <= 40);
        }
    }
}
