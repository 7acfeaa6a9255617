// The same interfaces as C++ sees them: abstract classes over the C object, and an
// application's callback that is a C++ class.
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <mutex>

#include <wmsdk.h>
#include <rehostidl.h>

extern "C" {
#include "fake_engine.h"
}

#define CHECK(condition)                                                                       \
	do {                                                                                   \
		if (!(condition)) {                                                            \
			std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);   \
			return 1;                                                              \
		}                                                                              \
	} while (0)

namespace
{

class Callback : public IWMStatusCallback, public IRehostProgress
{
      public:
	HRESULT STDMETHODCALLTYPE QueryInterface(REFIID riid, void **out) override
	{
		if (riid == IID_IUnknown || riid == IID_IWMStatusCallback)
			*out = static_cast<IWMStatusCallback *>(this);
		else if (IsEqualIID(riid, IID_IRehostProgress))
			*out = static_cast<IRehostProgress *>(this);
		else {
			*out = nullptr;
			return E_NOINTERFACE;
		}
		AddRef();
		return S_OK;
	}
	ULONG STDMETHODCALLTYPE AddRef() override
	{
		std::lock_guard<std::mutex> guard(mutex_);
		return ++references;
	}
	ULONG STDMETHODCALLTYPE Release() override
	{
		std::lock_guard<std::mutex> guard(mutex_);
		changed_.notify_all();
		return --references;
	}
	HRESULT STDMETHODCALLTYPE OnStatus(WMT_STATUS status, HRESULT hr,
	    WMT_ATTR_DATATYPE type, BYTE *value, void *context) override
	{
		std::lock_guard<std::mutex> guard(mutex_);
		good = good && value != nullptr && context == nullptr && hr == S_OK &&
		       (type == WMT_TYPE_STRING) == (status == WMT_RESTRICTED_LICENSE);
		sum = 100 * sum + static_cast<unsigned long>(status);
		ended = status == WMT_BACKUPRESTORE_END;
		changed_.notify_all();
		return S_OK;
	}
	HRESULT STDMETHODCALLTYPE OnTotals(LONG operation, QWORD licenses, QWORD bytes) override
	{
		totals = operation == RH_OPERATION_BACKUP && licenses == 7 && bytes == 7000;
		return S_OK;
	}
	HRESULT STDMETHODCALLTYPE OnProgress(QWORD licenses, QWORD bytes) override
	{
		progress = licenses == 7 && bytes == 7000;
		return S_OK;
	}
	HRESULT STDMETHODCALLTYPE OnLicense(
	    const REHOST_LICENSE *license, LONG code, HRESULT, LPCWSTR text, LPCWSTR) override
	{
		static const WCHAR title[] = u"T\u00e9l\u00e9", why[] = u"why";

		if (code == RH_E_LICENSE_DAMAGED)
			return S_OK;
		this->license = code == RH_E_RESTRICTED &&
				std::memcmp(license->pwszTitle, title, sizeof title) == 0 &&
				std::memcmp(text, why, sizeof why) == 0;
		return S_OK;
	}
	HRESULT STDMETHODCALLTYPE OnRecoveryKey(LPCWSTR, LPCWSTR) override
	{
		key = true;
		return S_OK;
	}
	HRESULT STDMETHODCALLTYPE OnNotice(LONG code, HRESULT, LPCWSTR, LPCWSTR) override
	{
		notice = code == RH_E_READ_BACK;
		return S_OK;
	}
	HRESULT STDMETHODCALLTYPE OnResult(
	    const REHOST_SUMMARY *summary, LONG, HRESULT, LPCWSTR, LPCWSTR) override
	{
		result = summary->qwDone == 5;
		return S_OK;
	}
	void Wait(ULONG left)
	{
		std::unique_lock<std::mutex> guard(mutex_);
		changed_.wait(guard, [this, left] { return ended && references == left; });
	}

	ULONG references = 1;
	bool good = true, ended = false;
	unsigned long sum = 0;
	bool totals = false, progress = false, license = false, key = false, notice = false,
	     result = false;

      private:
	std::mutex mutex_;
	std::condition_variable changed_;
};

int run()
{
	static const WCHAR path[] = u"/b";
	Callback callback;
	IWMLicenseBackup *backup = nullptr;
	void *out = nullptr;
	script script = {};

	script.restricted = 1;
	script.chatter = true;
	fake_script(&script);
	CHECK(WMCreateBackupRestorer(static_cast<IWMStatusCallback *>(&callback), &backup) ==
	      S_OK);
	CHECK(backup->QueryInterface(IID_IWMBackupRestoreProps, &out) == S_OK);
	IWMBackupRestoreProps *props = static_cast<IWMBackupRestoreProps *>(out);
	CHECK(props->SetProp(u"BackupPath", WMT_TYPE_STRING,
		  reinterpret_cast<const BYTE *>(path), sizeof path) == S_OK);
	WORD count = 0;
	CHECK(props->GetPropCount(&count) == S_OK && count == 1);
	CHECK(backup->BackupLicenses(0, &callback) == S_OK);
	CHECK(props->Release() == 1);
	CHECK(backup->QueryInterface(IID_IWMLicenseRestore, &out) == S_OK);
	IWMLicenseRestore *restore = static_cast<IWMLicenseRestore *>(out);
	CHECK(restore->RestoreLicenses(0, &callback) == NS_E_DRM_INVALID_PROPERTY);
	CHECK(restore->CancelLicenseRestore() == S_OK);
	CHECK(restore->Release() == 1);
	callback.Wait(1 + 1 /* the object's */);
	CHECK(backup->Release() == 0);
	callback.Wait(1);
	CHECK(callback.good);
	CHECK(callback.sum == 213127); // BEGIN, RESTRICTED_LICENSE, END
	CHECK(callback.totals && callback.progress && callback.license && callback.key);
	CHECK(callback.notice && callback.result);
	return 0;
}

} // namespace

int main()
{
	return run();
}
