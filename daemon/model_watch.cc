// SPDX-License-Identifier: Apache-2.0
#include "daemon/model_watch.h"

#include <sys/timerfd.h>
#include <unistd.h>

namespace auspex {

ModelWatch::ModelWatch() : fd_(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)) {
  constexpr timespec kEvery{2, 0};
  const itimerspec times{kEvery, kEvery};
  if (fd_ >= 0) ::timerfd_settime(fd_, 0, &times, nullptr);
}

ModelWatch::~ModelWatch() {
  if (fd_ >= 0) ::close(fd_);
}

bool ModelWatch::Identity::operator==(const Identity& other) const {
  return device == other.device && inode == other.inode && size == other.size &&
         modified.tv_sec == other.modified.tv_sec && modified.tv_nsec == other.modified.tv_nsec;
}

ModelWatch::Identity ModelWatch::look(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return {};
  return {info.st_dev, info.st_ino, info.st_size, info.st_mtim};
}

void ModelWatch::follow(const std::string& path) {
  path_ = path;
  seen_ = look(path);
}

bool ModelWatch::changed() {
  uint64_t expirations = 0;
  while (::read(fd_, &expirations, sizeof(expirations)) == sizeof(expirations)) {
  }
  const Identity now = look(path_);
  if (now.inode == 0 || now == seen_) return false;
  seen_ = now;
  return true;
}

}  // namespace auspex
