/* The schema: every map of Heddle. For each: who writes, who reads, when an entry dies, what
 * happens when it is full. "Agent" is user space (agent/node). Each map is weak because every hook
 * is a file of its own and all are linked into one object. Sizes are defaults; the agent may set
 * others before it creates the maps; an existing map keeps its own, so they are no part of the schema.
 * Everything else about keys and values is: HD_SCHEMA_VERSION in hd_abi.h. */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "hd_abi.h"

/* Settings and the heartbeat. Written: agent (mapped, so the heartbeat is one store). Read: all. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __uint(map_flags, BPF_F_MMAPABLE);
    __type(key, __u32);
    __type(value, struct hd_cfg);
} hd_cfg __weak SEC(".maps");

/* Captured pods by netns cookie. Written: agent, before anything else of a pod, and erased last.
 * Read: every hook. Dies: when the agent releases the pod. Full: the agent refuses the pod's ADD.
 */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 4096);
    __type(key, __u64);
    __type(value, struct hd_pod);
} hd_pods __weak SEC(".maps");

/* Every address of every captured pod of the node. Written: agent. Read: connect (is it the
 * socket's own pod, is it a probe's target). Dies: with the pod, and only if the cookie is still
 * that pod's. Full: the agent refuses the ADD. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 16384);
    __type(key, struct hd_ip);
    __type(value, struct hd_pod_ref);
} hd_pod_ip __weak SEC(".maps");

/* The agent's listening sockets. Written: agent. Read: connect (is anybody there), sk_lookup
 * (selects). Dies: by itself when the socket closes. Full: the agent refuses the ADD. */
struct {
    __uint(type, BPF_MAP_TYPE_SOCKHASH);
    __uint(max_entries, 16384);
    __type(key, struct hd_listen_key);
    __type(value, __u64);
} hd_listen __weak SEC(".maps");

/* Original destinations of redirected connections that the proxy has not accepted yet. Written:
 * sockops, before the SYN leaves. Read: the proxy, which takes the entry out on accept; sk_lookup.
 * Dies: taken, or with the connecting socket if the connection never arrived, or with the socket
 * that waited to be accepted. Full: not recorded, so the proxy resets the connection; counted.
 * Never LRU: an evicted entry would be a reset without a reason. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 65536);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct hd_flow);
    __type(value, struct hd_origdst);
} hd_origdst __weak SEC(".maps");

/* Connections that a pod's sk_lookup leaves alone: probes, and the proxy's own to the application.
 * Written: sockops, before the SYN leaves. Read: sk_lookup. Dies: with the connecting socket. Full:
 * the proxy's SYN is dropped (the dial fails, rather than to loop back into the proxy), a probe is
 * treated as any client; counted. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 131072);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct hd_flow);
    __type(value, struct hd_bypass);
} hd_bypass __weak SEC(".maps");

/* Live agent instances by cgroup id. Written: agent at start and end; entries of dead processes go
 * at the next start. Read: sock_create, connect, bind. Full: the agent does not start. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 16);
    __type(key, __u64);
    __type(value, struct hd_proxy);
} hd_proxies __weak SEC(".maps");

/* Ports and CIDRs that are not captured. Written: agent: a new set is written whole, then the pod
 * record switches to its id, then the old set goes. Read: connect, sk_lookup. Full: nothing is
 * excluded for that pod, and the agent says so. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 16384);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct hd_excl_port_key);
    __type(value, struct hd_exclusion);
} hd_excl_port __weak SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(max_entries, 16384);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct hd_excl_cidr_key);
    __type(value, struct hd_exclusion);
} hd_excl_cidr __weak SEC(".maps");

/* What the hooks know about a socket. Written and read: the hooks. Dies: with the socket. No
 * memory: the socket is not created, the connect is refused. */
struct {
    __uint(type, BPF_MAP_TYPE_SK_STORAGE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, int);
    __type(value, struct hd_sk);
} hd_sk __weak SEC(".maps");

/* Counters, by enum hd_stat. Written: the hooks. Read: agent. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, HD_STAT_COUNT);
    __type(key, __u32);
    __type(value, __u64);
} hd_stats __weak SEC(".maps");

/* Counters by netns cookie. The agent creates an entry with the pod and erases it with it; hooks
 * only add. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, 4096);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, __u64);
    __type(value, struct hd_pod_stats);
} hd_pod_stats __weak SEC(".maps");

/* struct hd_event for what was refused or dropped, at most HD_EVENTS_PER_POD_SECOND for each pod and
 * CPU. Full: the event is lost and counted. */
struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 1 << 18);
} hd_events __weak SEC(".maps");
