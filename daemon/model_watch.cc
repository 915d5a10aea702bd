// SPDX-License-Identifier: Apache-2.0
#include "daemon/model_watch.h"

#include <sys/timerfd.h>
#include <unistd.h>

#include <cstdint>

namespace auspex {

bool FileIdentity::operator==(const FileIdentity& other) const {
  return device == other.device && inode == other.inode && size == other.size &&
         modified.tv_sec == other.modified.tv_sec && modified.tv_nsec == other.modified.tv_nsec;
}

FileIdentity identity_of(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return {};
  return {info.st_dev, info.st_ino, info.st_size, info.st_mtim};
}

ModelWatch::ModelWatch() : timer_(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)) {
  constexpr timespec kEvery{2, 0};
  const itimerspec times{kEvery, kEvery};
  if (fd() >= 0) ::timerfd_settime(fd(), 0, &times, nullptr);
}

void ModelWatch::follow(const std::string& path, const FileIdentity& loaded) {
  path_ = path;
  seen_ = loaded;
}

bool ModelWatch::changed() {
  uint64_t expirations = 0;
  while (::read(fd(), &expirations, sizeof(expirations)) == sizeof(expirations)) {
  }
  const FileIdentity now = identity_of(path_);
  if (now.inode == 0 || now == seen_) return false;
  seen_ = now;
  return true;
}

}  // namespace auspex
