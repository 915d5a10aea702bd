// SPDX-License-Identifier: Apache-2.0
// What is not there is JSON's null.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace auspex::cli {

template <class T>
nlohmann::json or_null(const std::optional<T>& value) {
  return value ? nlohmann::json(*value) : nlohmann::json();
}

// Of a text that is empty where there is none.
inline nlohmann::json or_null(const std::string& text) {
  return text.empty() ? nlohmann::json() : nlohmann::json(text);
}

}  // namespace auspex::cli
