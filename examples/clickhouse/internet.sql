-- Who sent most to the internet in the last day, in bytes.
SELECT src_namespace, src_pod, sum(tx_bytes) AS bytes
FROM egressd.flows
WHERE scope = 'internet' AND mode = 'delta' AND timestamp > now() - INTERVAL 1 DAY
GROUP BY src_namespace, src_pod
ORDER BY bytes DESC
LIMIT 10;
