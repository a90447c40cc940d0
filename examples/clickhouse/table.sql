-- The table that examples/values/clickhouse.yaml writes to: clickhouse-client --multiquery < table.sql
CREATE DATABASE IF NOT EXISTS egressd;

CREATE TABLE IF NOT EXISTS egressd.flows
(
    timestamp         DateTime64(3),
    mode              LowCardinality(String),
    src_ip            String,
    src_pod           String,
    src_namespace     LowCardinality(String),
    src_workload_kind LowCardinality(String),
    src_workload      LowCardinality(String),
    src_node          LowCardinality(String),
    src_zone          LowCardinality(String),
    src_region        LowCardinality(String),
    dst_ip            String,
    dst_ip_type       LowCardinality(String),
    dst_pod           String,
    dst_namespace     LowCardinality(String),
    dst_workload_kind LowCardinality(String),
    dst_workload      LowCardinality(String),
    dst_node          LowCardinality(String),
    dst_zone          LowCardinality(String),
    dst_region        LowCardinality(String),
    dst_network       LowCardinality(String),
    dst_cloud_service LowCardinality(String),
    proto             LowCardinality(String),
    cross_zone        Bool,
    scope             LowCardinality(String),
    distance          LowCardinality(String),
    tx_bytes          UInt64,
    tx_packets        UInt64,
    rx_bytes          UInt64,
    rx_packets        UInt64
)
ENGINE = MergeTree
PARTITION BY toYYYYMMDD(timestamp)
ORDER BY (src_namespace, src_pod, timestamp)
TTL toDateTime(timestamp) + INTERVAL 30 DAY
-- A request whose answer was lost comes again with the same bytes: the block is known, and counts once.
SETTINGS non_replicated_deduplication_window = 10000;
