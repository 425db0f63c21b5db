// The page for people, as one document that needs nothing else.
#pragma once

#include <string_view>

namespace gemlet::server {

/// HTML; page.html as it was when the program was built.
std::string_view page_html();

}  // namespace gemlet::server
