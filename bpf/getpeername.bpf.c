/* getpeername(): shows an application the peer it asked for instead of the capture address.
 * Default for everything else: untouched. So are MPTCP sockets, which show the capture address: the
 * connect hook sees their subflow, and this one the socket above it. */
#include "hooks.h"

/* The destination if this socket is redirected now. The port tells: the verdict may be of an
 * earlier connect. */
static __always_inline struct hd_sk *redirected(struct bpf_sock_addr *ctx)
{
    struct hd_sk *storage;

    if (ctx->user_port != bpf_htons(HD_PORT_OUTBOUND))
        return 0;
    storage = bpf_sk_storage_get(&hd_sk, ctx->sk, 0, 0);
    return storage && storage->verdict == HD_VERDICT_REDIRECT ? storage : 0;
}

SEC("cgroup/getpeername4")
int hd_getpeername4(struct bpf_sock_addr *ctx)
{
    struct hd_sk *storage = redirected(ctx);

    if (storage) {
        ctx->user_ip4 = hd_ip_word(storage->dst_ip, 3);
        ctx->user_port = bpf_htons(storage->dst_port);
    }
    return HD_ALLOW;
}

SEC("cgroup/getpeername6")
int hd_getpeername6(struct bpf_sock_addr *ctx)
{
    struct hd_sk *storage = redirected(ctx);

    if (storage) {
        ctx->user_ip6[0] = hd_ip_word(storage->dst_ip, 0);
        ctx->user_ip6[1] = hd_ip_word(storage->dst_ip, 1);
        ctx->user_ip6[2] = hd_ip_word(storage->dst_ip, 2);
        ctx->user_ip6[3] = hd_ip_word(storage->dst_ip, 3);
        ctx->user_port = bpf_htons(storage->dst_port);
    }
    return HD_ALLOW;
}
