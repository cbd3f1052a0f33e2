#define _GNU_SOURCE
#include "unpack/attributes.h"
#include "unpack/names.h"
#include "unpack/outcome.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

/* Attributes that a layer may set. trusted.overlay.* would control overlayfs; security.* belongs to the host, except
 * for file capabilities. */
static bool may_have(const char *name)
{
	return (starts_with(name, "user.") && !starts_with(name, "user.overlay.")) ||
	       strcmp(name, "security.capability") == 0 || strcmp(name, "system.posix_acl_access") == 0;
}

/* chown to an id that the user namespace does not have fails with EINVAL. */
static void changed_owner(const struct unpacking *it, int result)
{
	if (result == 0 || (it->one_id && errno == EINVAL))
		return;
	if (errno == EINVAL)
		refuse("the owner of an entry is none of the user's ids (/etc/subuid, /etc/subgid)");
	broken("fchownat");
}

static struct tar_record set_extended_attributes(const struct unpacking *it, int fd)
{
	static const char prefix[] = "SCHILY.xattr.";
	enum { PREFIX = sizeof prefix - 1, NAME_LIMIT = 256 };
	struct tar_record record, default_acl = { 0 };
	char name[NAME_LIMIT];

	for (size_t at = 0; tar_record(&it->entry, &at, &record);) {
		if (record.key_size <= PREFIX || memcmp(record.key, prefix, PREFIX) != 0)
			continue;
		size_t size = record.key_size - PREFIX;
		if (size >= NAME_LIMIT)
			refuse("the name of an extended attribute is too long");
		memcpy(name, record.key + PREFIX, size);
		name[size] = '\0';
		if (strcmp(name, "system.posix_acl_default") == 0)
			default_acl = record;
		else if (strlen(name) == size && may_have(name) && fsetxattr(fd, name, record.value, record.value_size, 0) < 0 &&
			 errno != EOPNOTSUPP && !(it->one_id && errno == EINVAL)) /* an ACL that names other ids */
			broken("fsetxattr");
	}
	return default_acl;
}

/* In this order: chown(2) clears set-user-ID and capabilities, and the other changes would update the time. */
struct tar_record set_attributes(const struct unpacking *it, int fd, bool new_with_mode)
{
	struct tar_record default_acl = { 0 };

	changed_owner(it, fchown(fd, it->entry.uid, it->entry.gid));
	if ((!new_with_mode || it->entry.mode & 07000) && fchmod(fd, it->entry.mode) < 0)
		broken("fchmod");
	if (it->entry.records_size > 0)
		default_acl = set_extended_attributes(it, fd);
	if (futimens(fd, (struct timespec[2]){ it->entry.mtime, it->entry.mtime }) < 0)
		broken("utimensat");
	return default_acl;
}

void set_attributes_of_name(const struct unpacking *it, int parent, const char *name)
{
	changed_owner(it, fchownat(parent, name, it->entry.uid, it->entry.gid, AT_SYMLINK_NOFOLLOW));
	if (it->entry.type != TAR_SYMLINK && fchmodat(parent, name, it->entry.mode, 0) < 0)
		broken("fchmodat");
	if (utimensat(parent, name, (struct timespec[2]){ it->entry.mtime, it->entry.mtime }, AT_SYMLINK_NOFOLLOW) < 0)
		broken("utimensat");
}
