// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <exception>
#include <string>

#include "shared/result.h"

namespace auspex {

// What libtorch threw, it has no other way to report: its first line; the others are a stack.
inline Error torch_error(const std::string& doing, const std::exception& failure) {
  const std::string text = failure.what();
  return Error{doing + ": " + text.substr(0, text.find('\n'))};
}

}  // namespace auspex
