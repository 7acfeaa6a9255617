// Backs up the licences of this computer, or restores them, as a C++ program written
// for the Windows Media Format SDK does it: nothing but names of the SDK.
//
//   sdk_backup backup DIRECTORY [STORE] [--overwrite] [NAME=VALUE]...
//   sdk_backup restore DIRECTORY [STORE [RECOVERY-KEY]] [--individualize] [NAME=VALUE]...
//
// NAME=VALUE sets a property.  Without STORE it is the one that the environment's
// REHOST_STORE names, or this user's own.
//
//   c++ sdk_backup.cpp $(pkg-config --cflags --libs rehost) -o sdk_backup
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include <wmsdk.h>

namespace
{

const char *StatusName(WMT_STATUS status)
{
	switch (status) {
	case WMT_BACKUPRESTORE_BEGIN:
		return "WMT_BACKUPRESTORE_BEGIN";
	case WMT_BACKUPRESTORE_END:
		return "WMT_BACKUPRESTORE_END";
	case WMT_BACKUPRESTORE_CONNECTING:
		return "WMT_BACKUPRESTORE_CONNECTING";
	case WMT_BACKUPRESTORE_DISCONNECTING:
		return "WMT_BACKUPRESTORE_DISCONNECTING";
	case WMT_RESTRICTED_LICENSE:
		return "WMT_RESTRICTED_LICENSE";
	case WMT_ERROR_WITHURL:
		return "WMT_ERROR_WITHURL";
	case WMT_NEEDS_INDIVIDUALIZATION:
		return "WMT_NEEDS_INDIVIDUALIZATION";
	case WMT_INDIVIDUALIZE:
		return "WMT_INDIVIDUALIZE";
	default:
		return "another status";
	}
}

// What the SDK hands out counts its references; this lets go of one.
template <class T> struct Releaser {
	void operator()(T *object) const
	{
		object->Release();
	}
};
template <class T> using Held = std::unique_ptr<T, Releaser<T>>;

template <class T> Held<T> Query(IUnknown *object, REFIID iid)
{
	void *out = nullptr;

	return Held<T>(
	    SUCCEEDED(object->QueryInterface(iid, &out)) ? static_cast<T *>(out) : nullptr);
}

class Callback : public IWMStatusCallback
{
      public:
	virtual ~Callback() = default;

	HRESULT STDMETHODCALLTYPE QueryInterface(REFIID riid, void **out) override
	{
		*out = nullptr;
		if (riid != IID_IUnknown && riid != IID_IWMStatusCallback)
			return E_NOINTERFACE;
		*out = static_cast<IWMStatusCallback *>(this);
		AddRef();
		return S_OK;
	}

	ULONG STDMETHODCALLTYPE AddRef() override
	{
		return ++references_;
	}

	ULONG STDMETHODCALLTYPE Release() override
	{
		ULONG left = --references_;

		if (left == 0)
			delete this;
		return left;
	}

	HRESULT STDMETHODCALLTYPE OnStatus(
	    WMT_STATUS status, HRESULT hr, WMT_ATTR_DATATYPE type, BYTE *value, void *) override
	{
		std::string text;

		if (type == WMT_TYPE_STRING)
			for (auto c = reinterpret_cast<const WCHAR *>(value); *c != 0; c++)
				text += *c < 0x80 ? static_cast<char>(*c) : '?';
		std::printf("%-32s 0x%08X%s%s\n", StatusName(status), static_cast<unsigned>(hr),
		    text.empty() ? "" : "  ", text.c_str());
		std::fflush(stdout);
		if (status == WMT_BACKUPRESTORE_END) {
			std::lock_guard<std::mutex> guard(mutex_);
			ended_ = true;
			result_ = hr;
			changed_.notify_one();
		}
		return S_OK;
	}

	HRESULT Wait()
	{
		std::unique_lock<std::mutex> guard(mutex_);

		changed_.wait(guard, [this] { return ended_; });
		return result_;
	}

      private:
	std::atomic<ULONG> references_{1};
	std::mutex mutex_;
	std::condition_variable changed_;
	bool ended_ = false;
	HRESULT result_ = S_OK;
};

// The length of the UTF-8 sequence at the start of the text, 0 if there is none.
std::size_t SequenceLength(std::string_view text)
{
	auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
	unsigned char first = byte(0);
	std::size_t length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;

	if ((first >= 0x80 && first < 0xc2) || first >= 0xf5 || length > text.size())
		return 0;
	for (std::size_t i = 1; i < length; i++)
		if ((byte(i) & 0xc0) != 0x80)
			return 0;
	if ((first == 0xe0 && byte(1) < 0xa0) || (first == 0xed && byte(1) > 0x9f) ||
	    (first == 0xf0 && byte(1) < 0x90) || (first == 0xf4 && byte(1) > 0x8f))
		return 0;
	return length;
}

// UTF-8 to UTF-16; a byte that is not UTF-8, as the name of a directory may have one,
// becomes the lone surrogate that stands for it.
std::u16string Widen(std::string_view text)
{
	static const unsigned char firstBits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
	std::u16string wide;

	while (!text.empty()) {
		std::size_t length = SequenceLength(text);
		auto first = static_cast<unsigned char>(text[0]);
		char32_t c = length > 0 ? first & firstBits[length] : 0xdc00u + first;

		for (std::size_t i = 1; i < length; i++)
			c = c << 6 | (static_cast<unsigned char>(text[i]) & 0x3f);
		if (c >= 0x10000) {
			wide += static_cast<char16_t>(0xd800 + ((c - 0x10000) >> 10));
			c = 0xdc00 + (c & 0x3ff);
		}
		wide += static_cast<char16_t>(c);
		text.remove_prefix(length > 0 ? length : 1);
	}
	return wide;
}

HRESULT SetProperty(
    IWMBackupRestoreProps *props, const std::u16string &name, std::string_view value)
{
	std::u16string wide = Widen(value);

	if (wide.size() > 32766)
		return E_INVALIDARG;
	return props->SetProp(name.c_str(), WMT_TYPE_STRING,
	    reinterpret_cast<const BYTE *>(wide.c_str()),
	    static_cast<WORD>((wide.size() + 1) * sizeof(WCHAR)));
}

// What stands behind the directory; gives the flags of the start.
HRESULT SetArguments(IWMBackupRestoreProps *props, bool restoring, char **argv, DWORD &flags)
{
	static const WCHAR *const inOrder[] = {u"StorePath", u"RecoveryKey"};
	std::size_t position = 0;
	HRESULT hr = S_OK;

	for (; *argv != nullptr && SUCCEEDED(hr); argv++) {
		std::string_view argument = *argv;
		std::size_t equals = argument.find('=');

		if (!restoring && argument == "--overwrite")
			flags |= WM_BACKUP_OVERWRITE;
		else if (restoring && argument == "--individualize")
			flags |= WM_RESTORE_INDIVIDUALIZE;
		else if (equals != argument.npos)
			hr = SetProperty(props, Widen(argument.substr(0, equals)),
			    argument.substr(equals + 1));
		else if (position < (restoring ? 2u : 1u))
			hr = SetProperty(props, inOrder[position++], argument);
		else
			hr = E_INVALIDARG;
	}
	return hr;
}

HRESULT Work(Callback *callback, char **argv)
{
	bool restoring = std::string_view(argv[1]) == "restore";
	IWMLicenseBackup *created = nullptr;
	DWORD flags = 0;

	HRESULT hr = WMCreateBackupRestorer(callback, &created);
	if (FAILED(hr))
		return hr;
	Held<IWMLicenseBackup> backup(created);

	auto props = Query<IWMBackupRestoreProps>(backup.get(), IID_IWMBackupRestoreProps);
	auto restore = Query<IWMLicenseRestore>(backup.get(), IID_IWMLicenseRestore);
	if (!props || !restore)
		return E_NOINTERFACE;
	hr = SetProperty(props.get(), restoring ? u"RestorePath" : u"BackupPath", argv[2]);
	if (SUCCEEDED(hr))
		hr = SetArguments(props.get(), restoring, argv + 3, flags);
	if (FAILED(hr))
		return hr;

	hr = restoring ? restore->RestoreLicenses(flags, callback)
		       : backup->BackupLicenses(flags, callback);
	// A start that failed sends no event.
	return FAILED(hr) ? hr : callback->Wait();
}

} // namespace

int main(int argc, char **argv)
{
	std::string_view verb = argc > 1 ? argv[1] : "";

	if (argc < 3 || (verb != "backup" && verb != "restore")) {
		std::fprintf(stderr,
		    "usage: sdk_backup backup DIRECTORY [STORE] [--overwrite] [NAME=VALUE]...\n"
		    "       sdk_backup restore DIRECTORY [STORE [RECOVERY-KEY]] "
		    "[--individualize] [NAME=VALUE]...\n");
		return 1;
	}
	Held<Callback> callback(new Callback);
	HRESULT hr = Work(callback.get(), argv);

	if (FAILED(hr))
		std::fprintf(stderr, "sdk_backup: %s failed: 0x%08X\n", argv[1],
		    static_cast<unsigned>(hr));
	return FAILED(hr) ? 2 : 0;
}
