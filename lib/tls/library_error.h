#pragma once

#include <string>

namespace heddle::tls {

// Takes the oldest error of this thread's BoringSSL queue as text, "no reason given" when there is
// none, and empties the queue: what stays in it would be blamed on the next call.
std::string TakeLibraryError();

}  // namespace heddle::tls
