// The messages of a conversation, in the form of the OpenAI chat API.
#pragma once

#include <optional>
#include <string>

#include "core/json.h"
#include "core/status.h"
#include "frontends/text/chat/parser.h"

namespace gemlet {

class MessageLog {
  public:
    /// Begins with a system message if `system` is not empty; clear() keeps it.
    explicit MessageLog(std::string system);

    const Json& messages() const { return messages_; }
    void clear();
    /// `parts` are the parts that stand before the text: an array, or null.
    void add_user(const std::string& text, const Json& parts = {});
    void add_answer(const chat::ParsedResponse& response);
    /// Adds the result of the call that pending_call() names.
    void add_result(const std::string& text);
    /// Takes the last message back.
    void drop_last();
    /// Name of the first call that has no result yet.
    std::optional<std::string> pending_call() const;

    /// Writes the messages as a JSON array, one a line. Errors: `io`.
    Status save(const std::string& path) const;
    /// Replaces the messages by those of a file: an array, or an object with `messages`. Leaves
    /// them as they were on an error: those of read_file, `bad_argument` for other content.
    Status load(const std::string& path);

  private:
    const Json* open_call() const;

    std::string system_;
    Json messages_;
    size_t n_calls_ = 0;
};

}  // namespace gemlet
