// SPDX-License-Identifier: Apache-2.0
// ModelWatch: notices that another model stands in the place of the one in use, as a learner puts
// it there.
#pragma once

#include <sys/stat.h>

#include <string>

#include "shared/file.h"

namespace auspex {

struct FileIdentity {
  dev_t device = 0;
  ino_t inode = 0;  // 0: nothing there
  off_t size = 0;
  timespec modified{};
  bool operator==(const FileIdentity& other) const;
};
FileIdentity identity_of(const std::string& path);

class ModelWatch {
 public:
  ModelWatch();

  // Readable every other second. -1: no timer is to be had, and only SIGHUP reloads.
  int fd() const { return timer_.get(); }

  // From now on this file. loaded: what stood there before it was loaded.
  void follow(const std::string& path, const FileIdentity& loaded);
  // After fd() was readable: whether the file is another one than at the last look. One that is
  // not there is no other one.
  bool changed();

 private:
  FileDescriptor timer_;
  std::string path_;
  FileIdentity seen_;
};

}  // namespace auspex
