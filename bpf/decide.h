/* What the hooks decide, as functions from facts to a verdict: no helpers, no maps, no context. The
 * programs gather the facts; the host compiles the same functions for decide_test.cc. */
#pragma once

#include "hd_abi.h"

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif

static __always_inline __u64 hd_ip_half(const __u8 *ip, int index)
{
    __u64 half;

    __builtin_memcpy(&half, ip + 8 * index, 8);
    return half;
}

static __always_inline int hd_ip_equal(const __u8 *a, const __u8 *b)
{
    return hd_ip_half(a, 0) == hd_ip_half(b, 0) && hd_ip_half(a, 1) == hd_ip_half(b, 1);
}

static __always_inline int hd_ip_is_v4(const __u8 *ip)
{
    return hd_ip_half(ip, 0) == 0 && ip[8] == 0 && ip[9] == 0 && ip[10] == 0xff && ip[11] == 0xff;
}

static __always_inline int hd_ip_is_zero(const __u8 *ip)
{
    return hd_ip_half(ip, 0) == 0 && hd_ip_half(ip, 1) == 0;
}

/* 127.0.0.0/8, ::1 and both unspecified addresses, which connect() takes for loopback. */
static __always_inline int hd_ip_is_loopback(const __u8 *ip)
{
    int tail_is_zero = ip[12] == 0 && ip[13] == 0 && ip[14] == 0;

    if (hd_ip_is_v4(ip))
        return ip[12] == 127 || (tail_is_zero && ip[15] == 0);
    return hd_ip_half(ip, 0) == 0 && ip[8] == 0 && ip[9] == 0 && ip[10] == 0 && ip[11] == 0 &&
           tail_is_zero && ip[15] <= 1;
}

static __always_inline int hd_is_mesh_port(__u16 port)
{
    return port == HD_PORT_OUTBOUND || port == HD_PORT_INBOUND_PLAINTEXT ||
           port == HD_PORT_INBOUND_HBONE || port == HD_PORT_DNS;
}

static __always_inline int hd_agent_is_alive(__u64 now_ns, __u64 heartbeat_ns)
{
    return heartbeat_ns != 0 && now_ns < heartbeat_ns + HD_HEARTBEAT_AGE_MAX_NS;
}

/* ---- connect: a TCP socket of a captured netns ---- */

struct hd_connect_facts {
    enum hd_pod_state state;
    enum hd_fail_mode fail_mode;
    __u8 proxy;       /* The socket or the caller is an agent's. */
    __u8 local;       /* To loopback or an address of the same pod. */
    __u8 excluded;    /* By port or CIDR. */
    __u8 agent_alive; /* Heartbeat young enough. */
    __u8 listener;    /* The outbound listener is there. */
    __u8 has_address; /* The pod has an address of the destination's family. */
};

struct hd_decision {
    enum hd_verdict verdict;
    enum hd_stat reason;
};

static __always_inline struct hd_decision hd_decide_unserved(enum hd_fail_mode fail_mode,
                                                             enum hd_stat reason)
{
    if (fail_mode == HD_FAIL_OPEN)
        return (struct hd_decision){HD_VERDICT_OPEN, HD_STAT_CONNECT_OPEN};
    return (struct hd_decision){HD_VERDICT_REFUSED, reason};
}

static __always_inline struct hd_decision hd_decide_connect(const struct hd_connect_facts *facts)
{
    if (facts->proxy)
        return (struct hd_decision){HD_VERDICT_PROXY, HD_STAT_CONNECT_PROXY};
    if (facts->local)
        return (struct hd_decision){HD_VERDICT_LOCAL, HD_STAT_CONNECT_LOCAL};
    if (facts->state == HD_POD_RELEASING)
        return (struct hd_decision){HD_VERDICT_RELEASED, HD_STAT_CONNECT_RELEASED};
    if (facts->excluded)
        return (struct hd_decision){HD_VERDICT_EXCLUDED, HD_STAT_CONNECT_EXCLUDED};
    if (!facts->agent_alive)
        return hd_decide_unserved(facts->fail_mode, HD_STAT_CONNECT_AGENT_STALE);
    if (!facts->listener)
        return hd_decide_unserved(facts->fail_mode, HD_STAT_CONNECT_NO_LISTENER);
    if (!facts->has_address)
        return hd_decide_unserved(facts->fail_mode, HD_STAT_CONNECT_NO_ADDRESS);
    return (struct hd_decision){HD_VERDICT_REDIRECT, HD_STAT_CONNECT_REDIRECTED};
}

/* ---- connect: a TCP socket of the agent's own netns, to a captured pod ---- */

/* ancestor_id: the caller's ancestor at the level of probe_cgroup; 0: the caller sits above that
 * level. Without a cgroup nobody can be told apart, so nothing is a probe. */
static __always_inline int hd_is_probe(__u32 mode, __u64 probe_cgroup_id,
                                       __u64 ancestor_id)
{
    int inside = probe_cgroup_id != 0 && ancestor_id == probe_cgroup_id;

    switch (mode) {
    case HD_PROBE_ALL:
        return 1;
    case HD_PROBE_OUTSIDE:
        return probe_cgroup_id != 0 && !inside;
    case HD_PROBE_INSIDE:
        return inside;
    case HD_PROBE_NONE:
        break;
    }
    return 0;
}

/* ---- bind: a socket of a captured netns ---- */

static __always_inline int hd_may_bind(int proxy, int is_tcp, __u16 port)
{
    if (proxy)
        return 1;
    return is_tcp ? !hd_is_mesh_port(port) : port != HD_PORT_DNS;
}

/* ---- sk_lookup: a TCP SYN that arrives in a captured netns ---- */

struct hd_inbound_facts {
    enum hd_pod_state state;
    enum hd_fail_mode fail_mode;
    __u16 local_port;
    __u8 has_pod;    /* There is a record of the netns. */
    __u8 from_self;  /* The source is loopback or equals the destination. */
    __u8 redirected; /* hd_origdst knows the tuple: our own connect hook sent it here. */
    __u8 bypass;     /* hd_bypass knows the tuple. */
    __u8 excluded;   /* By port, or by the source's address. */
    __u8 refuse_plaintext;
    __u8 agent_alive;
    __u8 listener; /* The inbound plaintext listener is there. */
};

enum hd_inbound_action {
    HD_INBOUND_PASS,
    HD_INBOUND_SELECT,
    HD_INBOUND_DROP,
};

struct hd_inbound_decision {
    enum hd_inbound_action action;
    enum hd_stat reason;
};

static __always_inline struct hd_inbound_decision
hd_decide_unserved_inbound(enum hd_fail_mode fail_mode, enum hd_stat reason)
{
    if (fail_mode == HD_FAIL_OPEN)
        return (struct hd_inbound_decision){HD_INBOUND_PASS, HD_STAT_INBOUND_OPEN};
    return (struct hd_inbound_decision){HD_INBOUND_DROP, reason};
}

/* Whether anything but local_port, from_self and redirected decides. */
static __always_inline int hd_inbound_asks_pod(const struct hd_inbound_facts *facts)
{
    return !facts->from_self && !hd_is_mesh_port(facts->local_port);
}

static __always_inline struct hd_inbound_decision
hd_decide_inbound(const struct hd_inbound_facts *facts)
{
    if (facts->from_self || (facts->local_port == HD_PORT_OUTBOUND && facts->redirected))
        return (struct hd_inbound_decision){HD_INBOUND_PASS, HD_STAT_INBOUND_LOCAL};
    if (facts->local_port == HD_PORT_INBOUND_HBONE)
        return (struct hd_inbound_decision){HD_INBOUND_PASS, HD_STAT_INBOUND_HBONE};
    if (hd_is_mesh_port(facts->local_port))
        return (struct hd_inbound_decision){HD_INBOUND_DROP, HD_STAT_INBOUND_MESH_PORT};
    if (!facts->has_pod)
        return (struct hd_inbound_decision){HD_INBOUND_DROP, HD_STAT_INBOUND_NO_POD};
    if (facts->state == HD_POD_RELEASING)
        return (struct hd_inbound_decision){HD_INBOUND_PASS, HD_STAT_INBOUND_RELEASED};
    if (facts->bypass)
        return (struct hd_inbound_decision){HD_INBOUND_PASS, HD_STAT_INBOUND_BYPASS};
    if (facts->excluded)
        return (struct hd_inbound_decision){HD_INBOUND_PASS, HD_STAT_INBOUND_EXCLUDED};
    /* Before the fail mode: a policy that the kernel can decide alone holds without an agent too.
     */
    if (facts->refuse_plaintext)
        return (struct hd_inbound_decision){HD_INBOUND_DROP, HD_STAT_INBOUND_REFUSED};
    if (!facts->agent_alive)
        return hd_decide_unserved_inbound(facts->fail_mode, HD_STAT_INBOUND_AGENT_STALE);
    if (!facts->listener)
        return hd_decide_unserved_inbound(facts->fail_mode, HD_STAT_INBOUND_NO_LISTENER);
    return (struct hd_inbound_decision){HD_INBOUND_SELECT, HD_STAT_INBOUND_SELECTED};
}

/* ---- egress guard: a packet of a socket of a captured netns ---- */

enum hd_packet {
    HD_PACKET_OTHER,     /* Not the start of a TCP connection. */
    HD_PACKET_SYN,       /* SYN without ACK. */
    HD_PACKET_MALFORMED, /* TCP, but its flags cannot be read: a fragment or endless extension
                            headers of a raw socket. */
};

struct hd_egress_facts {
    enum hd_packet packet;
    enum hd_verdict verdict;
    __u8 captured; /* The pod is there and not being released. */
    __u8 loopback; /* It leaves through lo. */
};

struct hd_egress_decision {
    int pass;
    enum hd_stat reason; /* Of a drop. */
};

static __always_inline struct hd_egress_decision
hd_decide_egress(const struct hd_egress_facts *facts)
{
    const struct hd_egress_decision pass = {1, HD_STAT_COUNT};

    if (facts->packet == HD_PACKET_OTHER)
        return pass;
    /* Refused, yet its SYN is here: something it needs could not be recorded. It must not arrive
     * anywhere. */
    if (facts->verdict == HD_VERDICT_REFUSED)
        return (struct hd_egress_decision){0, HD_STAT_SYN_HELD};
    if (facts->loopback || !facts->captured)
        return pass;
    /* A redirected SYN has no business outside: SO_BINDTODEVICE or odd routes carry it away from
     * our listener. */
    if (facts->verdict == HD_VERDICT_REDIRECT)
        return (struct hd_egress_decision){0, HD_STAT_SYN_HELD};
    if (facts->verdict != HD_VERDICT_NONE)
        return pass;
    if (facts->packet == HD_PACKET_MALFORMED)
        return (struct hd_egress_decision){0, HD_STAT_LEAK_MALFORMED};
    return (struct hd_egress_decision){0, HD_STAT_LEAK_DROPPED};
}
