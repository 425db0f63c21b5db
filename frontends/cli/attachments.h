// Files attached to the next message of a chat.
#pragma once

#include <string>
#include <vector>

#include "core/json.h"
#include "core/status.h"
#include "frontends/media/message_media.h"

namespace gemlet {

/// Splits what was typed into paths: at blanks, except between quotation marks (" or ') and behind
/// a backslash. The name of a file that is there is one path as it is.
std::vector<std::string> split_paths(const std::string& typed);

class Attachments {
  public:
    /// Adds a file, in its state of now. Errors: those of content_of_file; `unsupported` for a name
    /// that is not UTF-8, which could not be saved.
    Result<MediaSource> add(chat::MediaKind kind, const std::string& path);
    /// Takes the last one back.
    void drop_last() { sources_.pop_back(); }
    void clear() { sources_.clear(); }

    bool empty() const { return sources_.empty(); }
    /// "2 pictures, 1 video".
    std::string summary() const;
    /// The parts of a message that stand for them; null where there are none.
    Json parts() const;

  private:
    std::vector<MediaSource> sources_;
};

}  // namespace gemlet
