/* Tells the process that runs it in which cgroup it is. /proc/self/cgroup cannot: it shows paths
 * relative to a cgroup namespace, and the hooks see ids. */
#include "hooks.h"

#define CGROUP_LEVELS_MAX 64

SEC("syscall")
int hd_whoami_run(struct hd_whoami *ctx)
{
    ctx->cgroup_id = bpf_get_current_cgroup_id();
    ctx->found = 0;
    for (int level = 0; level < CGROUP_LEVELS_MAX; level++) {
        if (bpf_get_current_ancestor_cgroup_id(level) != ctx->ancestor_id)
            continue;
        ctx->ancestor_level = level;
        ctx->found = 1;
        break;
    }
    return 0;
}
