// SPDX-License-Identifier: Apache-2.0
// ModelWatch: notices that another model stands in the place of the one in use, as a learner puts
// it there.
#pragma once

#include <sys/stat.h>

#include <chrono>
#include <memory>
#include <string>

namespace auspex {

struct FileIdentity {
  dev_t device = 0;
  ino_t inode = 0;  // 0: nothing there
  off_t size = 0;
  timespec modified{};
  bool operator==(const FileIdentity& other) const;
};
FileIdentity identity_of(const std::string& path);

// Looks from a thread of its own: a file system may not answer, and whoever asks it waits.
class ModelWatch {
 public:
  explicit ModelWatch(std::chrono::milliseconds every = std::chrono::seconds(2));
  ~ModelWatch();
  ModelWatch(const ModelWatch&) = delete;
  ModelWatch& operator=(const ModelWatch&) = delete;

  // Readable when changed() has something. -1: nothing is watched, and only SIGHUP reloads.
  int fd() const;

  // From now on this file. loaded: what stood there before it was loaded.
  void follow(const std::string& path, const FileIdentity& loaded);
  // Whether the file is another one than when it was asked last. One that is not there is no other
  // one.
  bool changed();

 private:
  struct Watched;
  static void look_on(const std::shared_ptr<Watched>& watched, std::chrono::milliseconds every);
  std::shared_ptr<Watched> watched_;  // the thread's, too, which may outlive us
};

}  // namespace auspex
