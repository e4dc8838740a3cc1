/* Sockets as they come and go in captured netns: every one gets storage, by which the egress guard
 * knows that its netns is captured; an agent's is stamped. Default: sockets outside captured netns
 * are created without further ado. In a captured netns a socket for which there is no storage is
 * refused, since the guard would not know it. */
#include "hooks.h"

SEC("cgroup/sock_create")
int hd_sock_create(struct bpf_sock *ctx)
{
    __u64 netns_cookie = bpf_get_netns_cookie(ctx);
    struct hd_sk *storage;

    if (!bpf_map_lookup_elem(&hd_pods, &netns_cookie))
        return HD_ALLOW;
    storage = bpf_sk_storage_get(&hd_sk, ctx, 0, BPF_SK_STORAGE_GET_F_CREATE);
    if (!storage) {
        hd_count(HD_STAT_SOCKET_REFUSED);
        bpf_set_retval(-ENOMEM);
        return HD_DENY;
    }
    storage->netns_cookie = netns_cookie;
    storage->proxy = hd_caller_is_proxy();
    return HD_ALLOW;
}

/* hd_sockops drops entries when their socket's TCP ends. This catches those of connecting sockets
 * whose end it did not see, because its link was being repaired just then. */
SEC("cgroup/sock_release")
int hd_sock_release(struct bpf_sock *ctx)
{
    struct hd_sk *storage = bpf_sk_storage_get(&hd_sk, ctx, 0, 0);

    if (storage && storage->entry != HD_ENTRY_NONE && ctx->state == BPF_TCP_CLOSE)
        hd_drop_entry(storage);
    return HD_ALLOW;
}
