// SPDX-License-Identifier: Apache-2.0
#include "graph/reader/model_file.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>

namespace auspex {
namespace {

ModelIdentity identity_of(const struct stat& info) {
  constexpr int64_t kSecond = 1'000'000'000;
  return {info.st_dev, info.st_ino, static_cast<uint64_t>(info.st_size),
          info.st_mtim.tv_sec * kSecond + info.st_mtim.tv_nsec};
}

Error last_error() {
  return Error{std::strerror(errno)};
}

const char* kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "it is a folder";
  if (S_ISFIFO(mode)) return "it is a pipe";
  return "it is no regular file";
}

bool lies_below(const std::string& path, const std::vector<std::string>& folders) {
  return std::any_of(folders.begin(), folders.end(), [&path](const std::string& folder) {
    const std::string head = folder == "/" ? folder : folder + "/";
    return path.starts_with(head);
  });
}

// Where it is, whatever it was called. "": not known.
std::string real_path(int fd) {
  char target[PATH_MAX];
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t size = ::readlink(link.c_str(), target, sizeof target);
  return size < 0 ? "" : std::string(target, static_cast<size_t>(size));
}

}  // namespace

Result<OpenedModel> open_model(const std::string& path, const std::vector<std::string>& folders,
                               bool everybody) {
  // Of this descriptor only the place is known: opening so waits for no pipe and touches no device.
  const FileDescriptor place(::open(path.c_str(), O_PATH | O_CLOEXEC));
  struct stat info {};
  if (place.get() < 0 || ::fstat(place.get(), &info) != 0) return last_error();
  if (!S_ISREG(info.st_mode)) return Error{kind_of(info.st_mode)};
  const std::string real = real_path(place.get());
  if (!lies_below(real, folders)) return Error{"it lies outside mig.model_dirs"};
  if (everybody && (info.st_mode & S_IROTH) == 0) {
    return Error{"not all may read it, and the daemon is not root"};
  }
  const std::string again = "/proc/self/fd/" + std::to_string(place.get());
  FileDescriptor file(::open(again.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (file.get() < 0 || ::fstat(file.get(), &info) != 0) return last_error();
  return OpenedModel{std::move(file), identity_of(info)};
}

std::optional<ModelIdentity> identity_of_model(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return std::nullopt;
  return identity_of(info);
}

Status become(uint32_t uid, uint32_t gid) {
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (::geteuid() != 0) return Done{};
  passwd entry{};
  passwd* known = nullptr;
  char buffer[16 * 1024];
  ::getpwuid_r(uid, &entry, buffer, sizeof buffer, &known);
  const gid_t group = gid;
  const int groups = known ? ::initgroups(known->pw_name, group) : ::setgroups(1, &group);
  if (groups != 0 || ::setgid(group) != 0 || ::setuid(uid) != 0) return last_error();
  return Done{};
}

}  // namespace auspex
