// SPDX-License-Identifier: Apache-2.0
// A user's model file, opened with that user's rights and nothing else.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "shared/file.h"
#include "shared/model_question.h"
#include "shared/result.h"

namespace auspex {

struct OpenedModel {
  FileDescriptor file;
  ModelIdentity identity;
};

// folders: real paths; the file's own real path must lie below one of them, wherever the symbolic
// links in `path` lead. Nothing but a regular file is opened. everybody: only what all may read.
// Errors: what the user may know, without the path.
Result<OpenedModel> open_model(const std::string& path, const std::vector<std::string>& folders,
                               bool everybody);

// nullopt: there is none, or it is not ours to see.
std::optional<ModelIdentity> identity_of_model(const std::string& path);

// For good: this process has this user's rights from now on. Errors: it may not do that.
Status become(uint32_t uid, uint32_t gid);

}  // namespace auspex
