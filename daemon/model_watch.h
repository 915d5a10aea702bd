// SPDX-License-Identifier: Apache-2.0
// ModelWatch: notices that another model stands in the place of the one in use, as a learner puts
// it there.
#pragma once

#include <sys/stat.h>

#include <string>

namespace auspex {

class ModelWatch {
 public:
  ModelWatch();
  ~ModelWatch();
  ModelWatch(const ModelWatch&) = delete;
  ModelWatch& operator=(const ModelWatch&) = delete;

  // Readable every other second. -1: no timer is to be had, and only SIGHUP reloads.
  int fd() const { return fd_; }

  // From now on this file, as it stands there now.
  void follow(const std::string& path);
  // After fd() was readable: whether the file is another one than at the last look. One that is
  // not there is no other one.
  bool changed();

 private:
  struct Identity {
    dev_t device = 0;
    ino_t inode = 0;
    off_t size = 0;
    timespec modified{};
    bool operator==(const Identity& other) const;
  };
  // Inode 0: nothing there.
  static Identity look(const std::string& path);

  int fd_ = -1;
  std::string path_;
  Identity seen_;
};

}  // namespace auspex
