// SPDX-License-Identifier: Apache-2.0
#include "daemon/ledger/database.h"

#include <sqlite3.h>

namespace auspex {
namespace {

// A reader waits so long for the writer, and the other way round.
constexpr int kBusyTimeout_ms = 2000;

}  // namespace

void Database::Close::operator()(sqlite3* handle) const {
  sqlite3_close_v2(handle);
}

Result<Database> Database::open_with(const std::string& path, int flags) {
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &handle, flags, nullptr);
  Database database;
  database.handle_.reset(handle);
  if (code != SQLITE_OK) {
    return Error{path + ": " + (handle ? sqlite3_errmsg(handle) : sqlite3_errstr(code))};
  }
  sqlite3_busy_timeout(handle, kBusyTimeout_ms);
  return database;
}

Result<Database> Database::open(const std::string& path) {
  return open_with(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
}

Result<Database> Database::open_to_read(const std::string& path) {
  return open_with(path, SQLITE_OPEN_READONLY);
}

Status Database::run(const std::string& sql) {
  if (sqlite3_exec(handle_.get(), sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK) {
    return Done{};
  }
  return Error{problem()};
}

int64_t Database::changed_rows() const {
  return sqlite3_changes(handle_.get());
}

Result<int64_t> Database::version() const {
  auto version = Statement::prepare(*this, "PRAGMA user_version");
  if (!version) return version.error();
  const Result<bool> told = version->step();
  if (!told) return told.error();
  return version->integer(0).value_or(0);
}

std::string Database::problem() const {
  return sqlite3_errmsg(handle_.get());
}

void Statement::Finalize::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}

Result<Statement> Statement::prepare(const Database& database, const std::string& sql) {
  sqlite3_stmt* prepared = nullptr;
  const int code = sqlite3_prepare_v3(database.handle(), sql.c_str(), -1, SQLITE_PREPARE_PERSISTENT,
                                      &prepared, nullptr);
  if (code != SQLITE_OK) return Error{database.problem()};
  Statement statement;
  statement.statement_.reset(prepared);
  return statement;
}

void Statement::reset() {
  sqlite3_reset(statement_.get());
  sqlite3_clear_bindings(statement_.get());
  next_ = 1;
}

void Statement::bind(int64_t value) {
  sqlite3_bind_int64(statement_.get(), next_++, value);
}

void Statement::bind(double value) {
  sqlite3_bind_double(statement_.get(), next_++, value);
}

void Statement::bind(const std::string& value) {
  sqlite3_bind_text(statement_.get(), next_++, value.data(), static_cast<int>(value.size()),
                    SQLITE_TRANSIENT);
}

void Statement::bind_null() {
  sqlite3_bind_null(statement_.get(), next_++);
}

Status Statement::run() {
  const Result<bool> row = step();
  sqlite3_reset(statement_.get());
  if (!row) return row.error();
  return Done{};
}

Result<bool> Statement::step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW || code == SQLITE_DONE) return code == SQLITE_ROW;
  return Error{sqlite3_errmsg(sqlite3_db_handle(statement_.get()))};
}

std::optional<int64_t> Statement::integer(int column) const {
  if (sqlite3_column_type(statement_.get(), column) == SQLITE_NULL) return std::nullopt;
  return sqlite3_column_int64(statement_.get(), column);
}

std::optional<double> Statement::real(int column) const {
  if (sqlite3_column_type(statement_.get(), column) == SQLITE_NULL) return std::nullopt;
  return sqlite3_column_double(statement_.get(), column);
}

std::string Statement::text(int column) const {
  const auto* bytes = sqlite3_column_text(statement_.get(), column);
  return bytes == nullptr ? "" : reinterpret_cast<const char*>(bytes);
}

}  // namespace auspex
