#ifndef PYPOD_ROOT_MOUNTS_H
#define PYPOD_ROOT_MOUNTS_H

#include "common/plan.h"
#include "common/process.h"

/* Create a detached file system; returns its descriptor. An option is `key=value` or `flag`. */
int make_mount(const struct process *process, const char *type, const char *source, const struct argument *options,
	       uint32_t count, uint64_t attributes);

/* Operations: take mounts and files of the host into slots, */
void capture(struct process *process, const struct record *record);
void take_tree(struct process *process, const struct record *record);
void take_subtree(struct process *process, const struct record *record);
void take_overlay(struct process *process, const struct record *record);
void take_file(struct process *process, const struct record *record);
/* and mount onto paths of the new root. */
void bind_tree(struct process *process, const struct record *record);
void mount_new(struct process *process, const struct record *record);
void mount_with_content(struct process *process, const struct record *record);
/* Mount what a slot has on a path of the host. */
void mount_on_host(struct process *process, const struct record *record);
/* Bind a file of the host over a file of the new root. */
void bind_file(struct process *process, const char *source, const char *path);

#endif
