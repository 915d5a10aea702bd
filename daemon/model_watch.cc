// SPDX-License-Identifier: Apache-2.0
#include "daemon/model_watch.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <system_error>
#include <thread>

#include "shared/file.h"

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

struct ModelWatch::Watched {
  FileDescriptor event{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  std::mutex mutex;  // guards all below; nobody holds it while a file system is asked
  std::condition_variable ending;
  std::string path;
  FileIdentity seen;
  uint64_t followed = 0;  // files so far
  bool ends = false;
};

ModelWatch::ModelWatch(std::chrono::milliseconds every) : watched_(std::make_shared<Watched>()) {
  if (fd() < 0) return;
  try {
    std::thread([watched = watched_, every] { look_on(watched, every); }).detach();
  } catch (const std::system_error&) {
    watched_->event = FileDescriptor();
  }
}

ModelWatch::~ModelWatch() {
  const std::lock_guard lock(watched_->mutex);
  watched_->ends = true;
  watched_->ending.notify_all();
}

int ModelWatch::fd() const {
  return watched_->event.get();
}

void ModelWatch::follow(const std::string& path, const FileIdentity& loaded) {
  const std::lock_guard lock(watched_->mutex);
  watched_->path = path;
  watched_->seen = loaded;
  ++watched_->followed;
  changed();  // what was told of until now is not about it
}

bool ModelWatch::changed() {
  uint64_t times = 0;
  return ::read(fd(), &times, sizeof(times)) == sizeof(times);
}

void ModelWatch::look_on(const std::shared_ptr<Watched>& watched, std::chrono::milliseconds every) {
  std::unique_lock lock(watched->mutex);
  while (!watched->ending.wait_for(lock, every, [&] { return watched->ends; })) {
    const std::string path = watched->path;
    const uint64_t followed = watched->followed;
    lock.unlock();
    const FileIdentity now = identity_of(path);
    lock.lock();
    if (watched->ends) return;
    if (watched->followed != followed || now.inode == 0 || now == watched->seen) continue;
    watched->seen = now;
    const uint64_t once = 1;
    [[maybe_unused]] const ssize_t told = ::write(watched->event.get(), &once, sizeof(once));
  }
}

}  // namespace auspex
