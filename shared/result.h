// SPDX-License-Identifier: Apache-2.0
// Result<T>: a value or the reason why there is none. Operating errors travel in it; bugs assert.
#pragma once

#include <cassert>
#include <string>
#include <utility>
#include <variant>

namespace auspex {

// The text names the thing and the value: "etc/auspex.yaml:7: risk: 1.5 is not in [0.0001, 0.5]".
struct Error {
  std::string message;
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : state_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return std::holds_alternative<T>(state_); }
  explicit operator bool() const { return ok(); }

  T& value() & { return get<T>(); }
  const T& value() const& { return const_cast<Result*>(this)->get<T>(); }
  T&& value() && { return std::move(get<T>()); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const { return const_cast<Result*>(this)->get<Error>(); }

 private:
  template <class U>
  U& get() {
    U* held = std::get_if<U>(&state_);
    assert(held != nullptr);
    return *held;
  }
  std::variant<T, Error> state_;
};

// Success without a value.
struct Done {};
using Status = Result<Done>;

}  // namespace auspex
