/* What several hooks do alike: reading addresses out of contexts, counting, reporting, asking who
 * is calling. */
#pragma once

#include <linux/bpf.h>
#include <linux/in.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "decide.h"
#include "hd_abi.h"
#include "maps.h"

#define AF_INET 2
#define AF_INET6 10
#define SOCK_STREAM 1
#define SOCK_RAW 3
#define LOOPBACK_IFINDEX 1 /* lo is the first interface of every netns. */

/* Return values of cgroup programs. */
#define HD_DENY 0
#define HD_ALLOW 1

#define ECONNREFUSED 111
#define EADDRINUSE 98
#define ENOMEM 12
#define EEXIST 17

char hd_license[] __weak SEC("license") = "Dual BSD/GPL";

static __always_inline void hd_ip_from_v4(__u8 *ip, __be32 v4)
{
    __builtin_memset(ip, 0, 10);
    ip[10] = 0xff;
    ip[11] = 0xff;
    __builtin_memcpy(ip + 12, &v4, 4);
}

/* Contexts allow four-byte loads only: volatile keeps the compiler from joining two of them. */
static __always_inline void hd_ip_from_ctx(__u8 *ip, const volatile __u32 *words)
{
    __u32 a = words[0], b = words[1], c = words[2], d = words[3];

    __builtin_memcpy(ip, &a, 4);
    __builtin_memcpy(ip + 4, &b, 4);
    __builtin_memcpy(ip + 8, &c, 4);
    __builtin_memcpy(ip + 12, &d, 4);
}

static __always_inline __u32 hd_ip_word(const __u8 *ip, int index)
{
    __u32 word;

    __builtin_memcpy(&word, ip + 4 * index, 4);
    return word;
}

static __always_inline void hd_count(__u32 stat)
{
    __u64 *counter = bpf_map_lookup_elem(&hd_stats, &stat);

    if (counter)
        (*counter)++; /* Per CPU, and hooks of one CPU that interrupt each other may lose one: it is
                         a counter. */
}

/* A pod that fails in a loop must not cost others their events. */
static __always_inline int hd_may_report(__u64 netns_cookie, __u64 now_ns)
{
    struct hd_pod_stats *stats = bpf_map_lookup_elem(&hd_pod_stats, &netns_cookie);

    if (!stats)
        return 0;
    if (now_ns - stats->events_since_ns >= 1000000000ull) {
        stats->events_since_ns = now_ns;
        stats->events = 0;
    }
    if (stats->events >= HD_EVENTS_PER_POD_SECOND)
        return 0;
    stats->events++; /* Per CPU: a hook that interrupts this one may gain an event, no more. */
    return 1;
}

/* What happened, to whom; the flow may be partly unknown (zero). */
static __always_inline void hd_report(enum hd_event_type type, enum hd_stat reason,
                                      const struct hd_flow *flow, __u64 socket_cookie)
{
    __u64 now_ns = bpf_ktime_get_ns();
    struct hd_event *event;

    if (!hd_may_report(flow->netns_cookie, now_ns)) {
        hd_count(HD_STAT_EVENTS_LIMITED);
        return;
    }
    event = bpf_ringbuf_reserve(&hd_events, sizeof(*event), 0);
    if (!event) {
        hd_count(HD_STAT_EVENTS_LOST);
        return;
    }
    event->ts_ns = now_ns;
    event->netns_cookie = flow->netns_cookie;
    event->socket_cookie = socket_cookie;
    event->type = type;
    event->reason = reason;
    __builtin_memcpy(event->src_ip, flow->src_ip, 16);
    __builtin_memcpy(event->dst_ip, flow->dst_ip, 16);
    event->src_port = flow->src_port;
    event->dst_port = flow->dst_port;
    event->zero = 0;
    bpf_ringbuf_submit(event, 0);
}

/* Only in hooks that run in the caller's context. */
static __always_inline int hd_caller_is_proxy(void)
{
    __u64 cgroup_id = bpf_get_current_cgroup_id();

    return bpf_map_lookup_elem(&hd_proxies, &cgroup_id) != 0;
}

static __always_inline int hd_heartbeat_is_fresh(void)
{
    __u32 zero = 0;
    struct hd_cfg *cfg = bpf_map_lookup_elem(&hd_cfg, &zero);

    return cfg && hd_agent_is_alive(bpf_ktime_get_ns(), *(volatile __u64 *)&cfg->heartbeat_ns);
}

static __always_inline int hd_port_is_excluded(__u32 exclusion_set, enum hd_direction direction,
                                               __u16 port)
{
    struct hd_excl_port_key key = {
        .exclusion_set = exclusion_set, .port = port, .direction = direction};

    return exclusion_set != 0 && bpf_map_lookup_elem(&hd_excl_port, &key) != 0;
}

/* Outbound, of the destination; inbound, of the source. */
static __always_inline int hd_ip_is_excluded(__u32 exclusion_set, enum hd_direction direction,
                                             const __u8 *ip)
{
    struct hd_excl_cidr_key key = {.prefixlen = 32 + 128, .exclusion_set = exclusion_set};
    struct hd_exclusion *exclusion;

    if (exclusion_set == 0)
        return 0;
    if (direction == HD_INBOUND)
        key.exclusion_set |= HD_EXCLUSION_SET_OF_SOURCES;
    __builtin_memcpy(key.addr, ip, 16);
    exclusion = bpf_map_lookup_elem(&hd_excl_cidr, &key);
    /* The longest block is found, and each of IPv4 is longer than those of IPv6 above it. */
    return exclusion && !(exclusion->ipv6 && hd_ip_is_v4(ip));
}

/* Deletes an entry of hd_origdst or hd_bypass if it still belongs to `owner`: tuples are used
 * again. */
static __always_inline void hd_drop_entry(struct hd_sk *storage)
{
    if (storage->entry == HD_ENTRY_BYPASS) {
        struct hd_bypass *bypass = bpf_map_lookup_elem(&hd_bypass, &storage->flow);

        if (bypass && bypass->owner_cookie == storage->owner_cookie)
            bpf_map_delete_elem(&hd_bypass, &storage->flow);
    } else if (storage->entry != HD_ENTRY_NONE) {
        struct hd_origdst *origdst = bpf_map_lookup_elem(&hd_origdst, &storage->flow);
        /* Once the connection has arrived, it waits for the proxy even if its client is gone (a
         * short request, closed at once): then the accepting end alone ends the entry. */
        enum hd_origdst_state state =
            storage->entry == HD_ENTRY_ORIGDST ? HD_ORIGDST_CONNECTING : HD_ORIGDST_ARRIVED;

        if (origdst && origdst->owner_cookie == storage->owner_cookie && origdst->state == state)
            bpf_map_delete_elem(&hd_origdst, &storage->flow);
    }
    storage->entry = HD_ENTRY_NONE;
}
