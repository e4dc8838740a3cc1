/* Packets that sockets of captured netns send: drops the start of a TCP connection that no connect
 * hook has judged, so raw sockets and whatever else goes around connect() do not get out. Packet
 * sockets (AF_PACKET) do not pass this hook. Default: pass; replies, resets and data of connections
 * older than the capture are not its business. */
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>

#include "hooks.h"

#define TCP_FLAGS_OFFSET 13
#define TCP_FLAG_BYTE_SYN 0x02
#define TCP_FLAG_BYTE_ACK 0x10
#define IP_OFFSET_AND_MF 0x3fff
#define EXTENSION_HEADERS_MAX                                                                      \
    8 /* More than any stack sends; a packet with more TCP behind them is malformed. */

static __always_inline enum hd_packet read_tcp(struct __sk_buff *skb, __u32 offset)
{
    __u8 flags;

    if (bpf_skb_load_bytes(skb, offset + TCP_FLAGS_OFFSET, &flags, 1))
        return HD_PACKET_MALFORMED;
    return (flags & (TCP_FLAG_BYTE_SYN | TCP_FLAG_BYTE_ACK)) == TCP_FLAG_BYTE_SYN ? HD_PACKET_SYN
                                                                                  : HD_PACKET_OTHER;
}

static __always_inline enum hd_packet read_ipv4(struct __sk_buff *skb)
{
    struct iphdr ip;

    if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)))
        return HD_PACKET_MALFORMED;
    if (ip.protocol != IPPROTO_TCP)
        return HD_PACKET_OTHER;
    if (ip.frag_off & bpf_htons(IP_OFFSET_AND_MF))
        return HD_PACKET_MALFORMED;
    return read_tcp(skb, ip.ihl * 4); /* ihl has four bits: at most 60. */
}

static __always_inline enum hd_packet read_ipv6(struct __sk_buff *skb)
{
    __u32 offset = sizeof(struct ipv6hdr);
    struct ipv6hdr ip;
    __u8 next;

    if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)))
        return HD_PACKET_MALFORMED;
    next = ip.nexthdr;
    for (int i = 0; i < EXTENSION_HEADERS_MAX; i++) {
        __u8 extension[2]; /* Next header, length in 8-byte units without the first. */

        if (next == IPPROTO_TCP)
            return read_tcp(skb, offset);
        if (next == IPPROTO_FRAGMENT)
            return HD_PACKET_MALFORMED;
        if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_DSTOPTS)
            return HD_PACKET_OTHER;
        if (bpf_skb_load_bytes(skb, offset, extension, 2))
            return HD_PACKET_MALFORMED;
        next = extension[0];
        offset += (extension[1] + 1) * 8; /* At most 8 * 2048 + 40: no overflow. */
    }
    return HD_PACKET_MALFORMED;
}

/* A TCP socket sends a SYN only in SYN_SENT, so its packets need not be read; UDP and ping sockets
 * send no TCP. */
static __always_inline int is_connecting(const struct bpf_sock *sk)
{
    return sk->type == SOCK_STREAM && sk->state == BPF_TCP_SYN_SENT;
}

static __always_inline enum hd_packet classify(struct __sk_buff *skb, const struct bpf_sock *sk)
{
    if (is_connecting(sk))
        return HD_PACKET_SYN;
    return skb->protocol == bpf_htons(0x0800) ? read_ipv4(skb) : read_ipv6(skb);
}

static __always_inline void report_drop(const struct hd_sk *storage, enum hd_stat reason)
{
    struct hd_pod_stats *stats = bpf_map_lookup_elem(&hd_pod_stats, &storage->netns_cookie);
    struct hd_flow flow = {.netns_cookie = storage->netns_cookie, .dst_port = storage->dst_port};

    hd_count(reason);
    if (stats)
        stats->leaks_dropped++;
    __builtin_memcpy(flow.dst_ip, storage->dst_ip, 16);
    hd_report(HD_EVENT_LEAK, reason, &flow, 0);
}

SEC("cgroup_skb/egress")
int hd_egress(struct __sk_buff *skb)
{
    struct bpf_sock *sk = skb->sk;
    struct hd_egress_decision decision;
    struct hd_egress_facts facts = {};
    struct hd_sk *storage;
    struct hd_pod *pod;

    if (!sk)
        return HD_ALLOW;
    sk = bpf_sk_fullsock(sk);
    if (!sk)
        return HD_ALLOW;
    /* First, because it is what nearly all packets of the node are. */
    if (sk->type != SOCK_RAW && !is_connecting(sk))
        return HD_ALLOW;
    storage = bpf_sk_storage_get(&hd_sk, sk, 0, 0);
    if (!storage || storage->netns_cookie == 0)
        return HD_ALLOW;
    facts.packet = classify(skb, sk);
    if (facts.packet == HD_PACKET_OTHER)
        return HD_ALLOW;
    pod = bpf_map_lookup_elem(&hd_pods, &storage->netns_cookie);
    facts.captured = pod && pod->state != HD_POD_RELEASING;
    facts.loopback = skb->ifindex == LOOPBACK_IFINDEX;
    facts.verdict = storage->verdict;
    decision = hd_decide_egress(&facts);
    if (decision.pass)
        return HD_ALLOW;
    report_drop(storage, decision.reason);
    return HD_DENY;
}
