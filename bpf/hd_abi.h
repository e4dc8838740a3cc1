/* What the BPF programs and user space share: constants, map keys and map values. Plain C, read by
 * both compilers; both assert the layout. Addresses are 16 bytes, IPv4 as ::ffff:a.b.c.d; ports are
 * in host order; padding is spelled out and zero, because keys compare as bytes. Whoever changes the
 * size or the meaning of a key or a value raises HD_SCHEMA_VERSION, and says in the notes of the
 * release that a rollback over it needs a drained node (docs/decisions/017): pinned maps keep the
 * sizes that they were made with, and libbpf refuses others. scripts/bpf_schema.py holds the text of
 * the layouts against the digest recorded for the version. */
#pragma once

#include <linux/types.h>

#ifdef __cplusplus
#define ABI_ASSERT(...) static_assert(__VA_ARGS__)
#else
#define ABI_ASSERT(condition) _Static_assert(condition, #condition)
#endif

/* Pinned maps of another version are refused at start; the pin path carries the same number
 * (…/heddle/v1; scripts/bpf_schema.py knows where it is named), and pins beside it that carry another
 * are refused as well. hd_cfg begins with the version, in every version.
 *
 * Version 1 is the first release's. Before that release layouts changed under the same number, and pins
 * of such a build are refused by libbpf's own words. From the release on, each change raises it. */
#define HD_SCHEMA_VERSION 1u

#define HD_POD_NAME_LEN 64
#define HD_POD_UID_LEN 40
#define HD_INSTANCE_NAME_LEN 16

/* An agent that has not written its heartbeat for this long counts as gone. */
#define HD_HEARTBEAT_AGE_MAX_NS 5000000000ull

/* The ports that are the mesh's in every captured netns: nobody but an agent can bind them there.
 */
enum hd_port {
    HD_PORT_OUTBOUND = 15001,
    HD_PORT_INBOUND_PLAINTEXT = 15006,
    HD_PORT_INBOUND_HBONE = 15008,
    HD_PORT_DNS = 15053,
};

enum hd_pod_state {
    HD_POD_CAPTURING = 1, /* New connections are captured. */
    HD_POD_RELEASING = 2, /* New connections pass untouched; older ones live on until the agent
                             erases the record. */
};

/* What happens to new connections while no agent serves the pod. */
enum hd_fail_mode {
    HD_FAIL_CLOSED = 0, /* Refused. */
    HD_FAIL_OPEN = 1,   /* They pass as if there were no mesh. */
};

/* Which sockets of the agent's own netns are probes of the node when they connect to a captured
 * pod. */
enum hd_probe_mode {
    HD_PROBE_NONE = 0,
    HD_PROBE_ALL = 1,     /* Every socket of that netns. */
    HD_PROBE_OUTSIDE = 2, /* Those of processes outside probe_cgroup (it holds the pods). */
    HD_PROBE_INSIDE = 3,  /* Those of processes inside probe_cgroup (it holds the kubelet). */
};

enum hd_listener_role {
    HD_LISTENER_OUTBOUND = 1,
    HD_LISTENER_INBOUND_PLAINTEXT = 2,
};

enum hd_direction {
    HD_OUTBOUND = 1,
    HD_INBOUND = 2,
};

/* hd_cfg: the one element of the array. */
struct hd_cfg {
    __u32 schema_version; /* HD_SCHEMA_VERSION of whoever created the pins. */
    enum hd_probe_mode probe_mode;
    __u64 heartbeat_ns; /* CLOCK_MONOTONIC of the agent's last sign of life. */
    __u64 host_netns_cookie;
    __u64 probe_cgroup_id;    /* 0: there is no such cgroup, so no process is inside it. */
    __u32 probe_cgroup_level; /* Its depth below the root of cgroup2, whose level is 0. */
    __u32 zero;
};
ABI_ASSERT(sizeof(struct hd_cfg) == 40);

/* hd_pods: one captured pod, by netns cookie (unique until the node reboots). */
struct hd_pod {
    __u64 netns_ino; /* Cross-check only: inode numbers are reused. */
    __u64 since_ns;  /* CLOCK_MONOTONIC of its capture. */
    enum hd_pod_state state;
    enum hd_fail_mode fail_mode;
    __u32 exclusion_set; /* Which entries of hd_excl_port and hd_excl_cidr hold for it; 0: none. */
    __u8 refuse_plaintext; /* 1: every plaintext source is denied, so its SYN is refused in the
                              kernel. */
    __u8 zero[3];
    __u8 ip4[16]; /* Where its connects are redirected to, per family; all zero: it has no such
                     address. */
    __u8 ip6[16];
    char name[HD_POD_NAME_LEN]; /* "namespace/name", cut if longer. */
    char uid[HD_POD_UID_LEN];
};
ABI_ASSERT(sizeof(struct hd_pod) == 168);

/* hd_pod_ip: an address of a captured pod of this node. */
struct hd_ip {
    __u8 addr[16];
};
ABI_ASSERT(sizeof(struct hd_ip) == 16);

struct hd_pod_ref {
    __u64 netns_cookie;
};
ABI_ASSERT(sizeof(struct hd_pod_ref) == 8);

/* hd_listen: the value is the socket; reading it from user space gives the socket's cookie. */
struct hd_listen_key {
    __u64 netns_cookie;
    enum hd_listener_role role;
    __u32 zero;
};
ABI_ASSERT(sizeof(struct hd_listen_key) == 16);

/* A TCP connection by the netns in which it arrives and its ends: src is the one that connects. */
struct hd_flow {
    __u64 netns_cookie;
    __u8 src_ip[16];
    __u8 dst_ip[16];
    __u16 src_port;
    __u16 dst_port;
    __u32 zero;
};
ABI_ASSERT(sizeof(struct hd_flow) == 48);

enum hd_origdst_state {
    HD_ORIGDST_CONNECTING = 1, /* Ends with the connecting socket. */
    HD_ORIGDST_ARRIVED = 2,    /* Ends with the socket that waits to be accepted. */
};

/* hd_origdst: where a redirected connection wanted to go. */
struct hd_origdst {
    __u64 owner_cookie; /* The connecting socket. */
    __u64 created_ns;
    __u8 dst_ip[16];
    __u16 dst_port;
    __u16 zero;
    enum hd_origdst_state state;
};
ABI_ASSERT(sizeof(struct hd_origdst) == 40);

enum hd_bypass_reason {
    HD_BYPASS_PROBE = 1, /* The node probes a pod. */
    HD_BYPASS_PROXY = 2, /* The proxy connects to the application with its client's address. */
};

/* hd_bypass: a connection that the pod's application gets untouched. */
struct hd_bypass {
    __u64 owner_cookie; /* The connecting socket. */
    enum hd_bypass_reason reason;
    __u32 zero;
};
ABI_ASSERT(sizeof(struct hd_bypass) == 16);

/* hd_proxies: a live agent instance, by the id of its cgroup. */
struct hd_proxy {
    __u64 started_ticks; /* Field 22 of /proc/PID/stat: with the pid it names one process. */
    __u32 pid;
    __u32 zero;
    char name[HD_INSTANCE_NAME_LEN];
};
ABI_ASSERT(sizeof(struct hd_proxy) == 32);

struct hd_excl_port_key {
    __u32 exclusion_set;
    __u16 port;     /* Outbound: of the destination. Inbound: of the pod. */
    __u8 direction; /* enum hd_direction */
    __u8 zero;
};
ABI_ASSERT(sizeof(struct hd_excl_port_key) == 8);

/* In hd_excl_cidr_key: the block is of those who connect to the pod. Numbers of sets stay below. */
#define HD_EXCLUSION_SET_OF_SOURCES 0x80000000u

/* Key of an LPM trie: prefixlen counts the set's 32 bits and those of the mapped address,
 * so 10.0.0.0/8 has 32 + 96 + 8. */
struct hd_excl_cidr_key {
    __u32 prefixlen;
    __u32 exclusion_set; /* Destinations: the set. Sources: with HD_EXCLUSION_SET_OF_SOURCES. */
    __u8 addr[16];
};
ABI_ASSERT(sizeof(struct hd_excl_cidr_key) == 24);

struct hd_exclusion {
    __u16 rule; /* Its number in the pod's settings; for people. */
    __u8 ipv6;  /* 1: a block of IPv6. ::/0 is the beginning of every mapped address, but holds no
                   IPv4. */
    __u8 zero;
};
ABI_ASSERT(sizeof(struct hd_exclusion) == 4);

/* What a connect hook decided about a socket; kept in the socket's storage. */
enum hd_verdict {
    HD_VERDICT_NONE = 0,
    HD_VERDICT_REDIRECT = 1, /* To the outbound listener. */
    HD_VERDICT_LOCAL = 2,    /* Loopback or the pod's own address. */
    HD_VERDICT_EXCLUDED = 3, /* By a port or CIDR of the pod's settings. */
    HD_VERDICT_PROXY = 4,    /* The agent's own. */
    HD_VERDICT_PROBE = 5,    /* From the node to a pod. */
    HD_VERDICT_OPEN = 6,     /* Passes: nobody serves the pod and its fail mode is Open. */
    HD_VERDICT_RELEASED = 7, /* Passes: the pod is being released. */
    HD_VERDICT_REFUSED = 8,  /* Nobody serves the pod, or something it needs is missing. */
};

/* Which map entry a socket owns: it goes when the socket goes. */
enum hd_entry {
    HD_ENTRY_NONE = 0,
    HD_ENTRY_ORIGDST = 1,         /* As the connecting end. */
    HD_ENTRY_ORIGDST_ARRIVED = 2, /* As the accepting end. Written no more; met after an upgrade. */
    HD_ENTRY_BYPASS = 3,
};

/* hd_sk: storage of sockets in captured netns, and of probes. */
struct hd_sk {
    __u64 netns_cookie; /* Of the captured netns it lives in; 0: it does not live in one. */
    __u64 owner_cookie; /* In the entry's value. */
    enum hd_verdict verdict;
    enum hd_entry entry;
    __u8 proxy; /* 1: created by an agent. */
    __u8 zero;
    __u16 dst_port;
    __u32 zero2;
    __u8 dst_ip[16];     /* Where a redirected socket wanted to go. */
    struct hd_flow flow; /* Key of the entry. */
};
ABI_ASSERT(sizeof(struct hd_sk) == 96);

/* In and out of hd_whoami, the program that tells a process its cgroup. */
struct hd_whoami {
    __u64 ancestor_id;    /* In: the id of a cgroup that should be above the caller's. */
    __u64 cgroup_id;      /* Out: the caller's. */
    __u32 ancestor_level; /* Out: that ancestor's level. */
    __u32 found;          /* Out: 1: the ancestor is the caller's cgroup or above it. */
};
ABI_ASSERT(sizeof(struct hd_whoami) == 24);

#include "hd_stats.h"
